import type { CommandSpec } from './command-spec.ts';

/** The commands of event schemas, in the order of `--help`. */
export const SCHEMA_COMMANDS: readonly CommandSpec[] = [
  {
    path: 'schemas list',
    isDefault: true,
    does: 'every version of every event schema, the sets that were published, and what the workers use',
    examples: ['millrace schemas', 'millrace schemas list --json | jq -r .digest'],
    load: async () => (await import('./commands/schemas.ts')).listSchemas,
  },
  {
    path: 'schemas new',
    args: '<eid>',
    does: 'draft a schema on standard output; needs no server',
    options: [['--from <file>', 'example events, or batches, as JSON lines; "-" reads standard input']],
    examples: [
      'millrace schemas new SURVEY --from events.jsonl > survey.json',
      'millrace schemas new SURVEY',
    ],
    load: async () => (await import('./commands/schemas-files.ts')).newSchema,
  },
  {
    path: 'schemas check',
    args: '[file...]',
    does: 'look for what is wrong with schemas: those of files, else all that were added; exit 1 on an error',
    examples: ['millrace schemas check survey.json', 'millrace schemas check'],
    load: async () => (await import('./commands/schemas-files.ts')).checkSchemas,
  },
  {
    path: 'schemas test',
    args: '<file-or-eid>',
    does: 'hold events against a schema: a verdict a line, with the field; exit 1 where one is refused',
    options: [['--events <file>', 'events, or batches, as JSON lines; "-" reads standard input']],
    examples: [
      'millrace schemas test survey.json --events events.jsonl',
      'millrace schemas test IMPRESSION --events events.jsonl --json',
    ],
    load: async () => (await import('./commands/schemas-files.ts')).testSchema,
  },
  {
    path: 'schemas add',
    args: '<file>',
    does: 'add a version of a schema; refused where it refuses what the published version accepts',
    options: [['--incompatible', 'add it all the same; what it refuses is recorded with it']],
    examples: ['millrace schemas add survey.json', 'millrace schemas add survey.json --incompatible'],
    load: async () => (await import('./commands/schemas.ts')).addSchema,
  },
  {
    path: 'schemas publish',
    does: 'make what was added current in every worker, between two batches; or go back to an earlier set',
    options: [['--digest <digest>', 'the set to make current, as the list shows it; 8 digits will do']],
    examples: ['millrace schemas publish', 'millrace schemas publish --digest 3f9a01c2'],
    load: async () => (await import('./commands/schemas.ts')).publishSchemas,
  },
];
