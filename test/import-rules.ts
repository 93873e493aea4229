/** What the files of a folder of `src` may import besides their own folder. */
export interface ImportRule {
  readonly folder: string;
  readonly may: readonly string[];
  /** `node`: Node's own modules; `npm`: packages. */
  readonly outside: readonly ('node' | 'npm')[];
  readonly because: string;
}

/** The direction of imports; the table of ARCHITECTURE.md is made from it. */
export const IMPORT_RULES: readonly ImportRule[] = [
  { folder: 'core', may: [], outside: [], because: 'vocabulary and contracts: nothing below, no I/O' },
  {
    folder: 'config',
    may: ['core'],
    outside: ['node', 'npm'],
    because: 'the only place that reads `process.env`',
  },
  { folder: 'observability', may: ['core'], outside: ['node', 'npm'], because: 'used by all, knows none' },
  {
    folder: 'jobs',
    may: ['core'],
    outside: [],
    because: 'pure: the same batch gives the same answer anywhere',
  },
  {
    folder: 'runtime',
    may: ['core', 'config', 'observability'],
    outside: ['node', 'npm'],
    because: 'runs any job on any log: names neither',
  },
  {
    folder: 'services',
    may: ['core', 'config', 'observability'],
    outside: ['node', 'npm'],
    because: 'HTTP in front of ports',
  },
  {
    folder: 'services/console',
    may: ['services/query/contract.ts'],
    outside: ['npm'],
    because: 'runs in a browser: knows the API by the types of its documents',
  },
  {
    folder: 'adapters',
    may: ['core', 'config', 'observability', 'adapters/redis'],
    outside: ['node', 'npm'],
    because: 'one port folder never imports another: any may be exchanged alone',
  },
  {
    folder: 'adapters/redis',
    may: ['core', 'config', 'observability'],
    outside: ['node', 'npm'],
    because: 'the connection and the errors of a server that two ports use: no port of its own',
  },
  {
    folder: 'operations',
    may: ['core', 'config', 'observability'],
    outside: ['node'],
    because:
      'what to do to a host, as steps: acts through the `Host` port alone, no files, processes, sockets',
  },
  {
    folder: 'cli',
    may: [
      'core',
      'config',
      'observability',
      'jobs',
      'runtime',
      'services',
      'adapters',
      'adapters/redis',
      'operations',
    ],
    outside: ['node', 'npm'],
    because:
      'commands, and the composition: `compose…`, `serve`, `backend` and `…worker…` alone import adapters',
  },
];

/** Packages that are bundled into the console. */
export const CONSOLE_PACKAGES: readonly string[] = [
  'preact',
  'preact/hooks',
  '@preact/signals',
  'uplot',
  '@dagrejs/dagre',
];

/** Files of `cli` that choose implementations. */
export const COMPOSERS = /^src\/cli\/(compose[a-z-]*|serve|backend|([a-z-]+-)?worker(-[a-z-]+)?)\.ts$/;

/** The rules as a Markdown table. */
export function renderImportRules(): string {
  const rows = IMPORT_RULES.map(rule => {
    const may = [...rule.may, ...rule.outside.map(kind => (kind === 'node' ? 'Node' : 'packages'))];
    return `| \`${rule.folder}\` | ${may.join(', ') || 'nothing'} | ${rule.because} |`;
  });
  return ['| folder of `src` | may import | because |', '|---|---|---|', ...rows].join('\n');
}
