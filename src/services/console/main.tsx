import { render } from 'preact';

render(<p>Millrace</p>, document.getElementById('app')!);
