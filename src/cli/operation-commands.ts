import type { CommandSpec } from './command-spec.ts';

/** Flags that stand for parameters of the original's jobs; what this version does not do by them is refused. */
const RUN_OPTIONS = [
  ['--job <name...>', 'of Deploy/Yarn: only this stream job; may be repeated'],
  ['--release <id>', 'of Deploy; not in this version: the release that runs is deployed'],
  ['--release-tag <ref>', 'of Build; not in this version: the files that run are sealed'],
  ['--schemas <ref>', 'of SamzaTelemetrySchemas; not in this version: they are part of the release'],
  ['--role <role>', 'not in this version: operations act from this machine alone'],
  ['--host <host>', 'not in this version: operations act from this machine alone'],
] as const;

const CONFIRM_OPTION = ['--confirm <name>', 'name of the environment, where it is protected'] as const;

/** The commands over operations, in the order of `--help`. */
export const OPERATION_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'operations list',
    isDefault: true,
    does: "every operation of the original's sequence with its state",
    examples: ['millrace operations', 'millrace operations list --json | jq -r ".operations[].path"'],
    load: async () => (await import('./commands/operations.ts')).listOperations,
  },
  {
    path: 'operations describe',
    args: '<path>',
    does: "what an operation does and needs, what it would change, what became of the original's parameters",
    examples: ['millrace operations describe Provision/local/DataPipeline/Kafka'],
    load: async () => (await import('./commands/operations.ts')).describeOperation,
  },
  {
    path: 'plan',
    args: '[path...]',
    does: 'exactly what "run" would do, without a change; all operations where none is named',
    options: [
      ['--out <file>', 'save the plan for "run FILE"'],
      ['--exit-code', 'exit 1 where there is something to do'],
      ['--only', 'refuse where something that is needed is not in place'],
      ...RUN_OPTIONS,
    ],
    examples: [
      'millrace plan',
      'millrace plan Deploy/Yarn --out yarn.json',
      'millrace plan --exit-code --quiet',
    ],
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  {
    path: 'run',
    args: '<path...>',
    does: 'apply and verify operations with what they need, or a saved plan; exit 1 where one fails',
    options: [
      ['--only', 'refuse where something that is needed is not in place, instead of putting it there'],
      ['--as <name>', "name for the receipts, beside the OS user's"],
      CONFIRM_OPTION,
      ...RUN_OPTIONS,
    ],
    examples: [
      'millrace run Build',
      'millrace run Provision/local/DataPipeline/Kafka',
      'millrace run Deploy/Yarn --job dedup',
      'millrace run yarn.json',
    ],
    load: async () => (await import('./commands/run.ts')).run,
  },
  {
    path: 'undo',
    args: '<path>',
    does: 'take a Bootstrap or Provision operation back; refused where it holds data or is in use',
    options: [
      ['--plan', 'only say what would be taken back'],
      ['--remove-data', 'take the data of a server on this machine with it, and the secrets that open it'],
      ['--as <name>', "name for the receipts, beside the OS user's"],
      CONFIRM_OPTION,
    ],
    examples: ['millrace undo Provision/local/DataPipeline/Redis --plan', 'millrace undo Provision/Redis'],
    load: async () => (await import('./commands/undo.ts')).undo,
  },
  {
    path: 'receipts',
    args: '[path...]',
    does: 'what operations did, when, with which release and configuration; newest first',
    options: [['--limit <n>', 'how many at most (default: all)']],
    examples: [
      'millrace receipts --limit 10',
      'millrace receipts Provision/Kafka',
      'millrace receipts --json | jq .intact',
    ],
    load: async () => (await import('./commands/receipts.ts')).listReceipts,
  },
  {
    path: 'doctor',
    does: 'check machine, configuration, data and the running environment, with the remedy for each finding',
    examples: ['millrace doctor', 'millrace doctor --json | jq ".checks[] | select(.ok | not)"'],
    load: async () => (await import('./commands/doctor.ts')).doctor,
  },
  {
    path: 'logs',
    args: '<name>',
    does: 'what runs said of an operation; "up": what the detached serving process said',
    options: [['-f, --follow', 'go on until Ctrl-C']],
    examples: ['millrace logs Deploy/Yarn', 'millrace logs up -f'],
    load: async () => (await import('./commands/logs.ts')).logs,
  },
  {
    path: 'restart',
    args: '<path>',
    does: 'restart the server of an operation; on embedded the serving process, where it was detached',
    options: [
      ['--rolling', 'one at a time, healthy in between'],
      ['--as <name>', "name for the receipts, beside the OS user's"],
      CONFIRM_OPTION,
    ],
    examples: [
      'millrace restart Deploy/Yarn',
      'millrace restart Provision/Redis --env services',
      'millrace restart Provision/Kafka --rolling --env services',
    ],
    load: async () => (await import('./commands/restart.ts')).restart,
  },
  {
    path: 'secrets list',
    isDefault: true,
    does: 'which secrets there are, where they lie and who uses them; never a secret itself',
    examples: ['millrace secrets'],
    load: async () => (await import('./commands/secrets.ts')).listSecrets,
  },
  {
    path: 'secrets rotate',
    args: '<name>',
    does: 'draw a generated secret anew, and have the server that knows it take the new one',
    options: [CONFIRM_OPTION],
    examples: ['millrace secrets rotate operator-token', 'millrace secrets rotate redis --env services'],
    load: async () => (await import('./commands/secrets.ts')).rotateSecret,
  },
  {
    path: 'support-bundle',
    does: 'write what helps to find a fault into one file, without any secret',
    options: [['--out <file>', 'where to (default: millrace-support-<env>.json)']],
    examples: ['millrace support-bundle --out bundle.json'],
    load: async () => (await import('./commands/support-bundle.ts')).supportBundle,
  },
  {
    path: 'uninstall',
    does: 'remove the environment from the data directory',
    options: [
      ['--keep-data', 'leave records, tables, archive, secrets and receipts'],
      ['--plan', 'only say what would be removed'],
      CONFIRM_OPTION,
    ],
    examples: ['millrace uninstall --plan', 'millrace uninstall --keep-data'],
    load: async () => (await import('./commands/uninstall.ts')).uninstall,
  },
];
