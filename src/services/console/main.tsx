import { render } from 'preact';
import { App } from './app.tsx';
import { listen } from './state/pulse.ts';
import { followTheme } from './state/theme.ts';

followTheme();
listen();
render(<App />, document.getElementById('app')!);
