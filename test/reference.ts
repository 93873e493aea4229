import { COMMANDS, GLOBAL_OPTIONS } from '../src/cli/command-list.ts';
import type { CommandSpec } from '../src/cli/command-spec.ts';
import { OPTIONS, type OptionKey, type OptionSpec } from '../src/config/options.ts';
import { variableOf } from '../src/config/variables.ts';
import { ERRORS, type ErrorKind } from '../src/core/errors.ts';

const GENERATED = '<!-- Made by `npm run docs`; change the code it is made from. -->\n';

/** docs/reference/cli.md, from the list of commands. */
export function renderCliReference(): string {
  return [
    '# Command line\n',
    GENERATED,
    'Flags of every command, before it or after:\n',
    flagTable(GLOBAL_OPTIONS),
    'Exit codes: 0 done, 1 failed, 2 misuse. With `--json` standard output holds the answer as one JSON document',
    '(or JSON lines where a command streams) and nothing else; an error is `{"error": {"code", "message", "why",',
    '"remedy"}}`. Without it, an error is three lines on standard error.\n',
    ...COMMANDS.map(commandSection),
  ].join('\n');
}

function commandSection(spec: CommandSpec): string {
  const lines = [
    `## millrace ${spec.path}\n`,
    `\`millrace ${spec.path}${spec.args === undefined ? '' : ` ${spec.args}`}\`: ${spec.does}.\n`,
  ];
  if (spec.isDefault === true) {
    const [group] = spec.path.split(' ');
    lines.push(`\`millrace ${group}\` alone is the same.\n`);
  }
  if (spec.options !== undefined) lines.push(flagTable(spec.options));
  lines.push(['```sh', ...spec.examples, '```'].join('\n'), '');
  return lines.join('\n');
}

function flagTable(options: readonly (readonly [string, string])[]): string {
  const rows = options.map(([flags, does]) => `| \`${flags}\` | ${cell(does)} |`);
  return table(undefined, '| flag | does |', rows);
}

/** docs/reference/configuration.md, from the declared options. */
export function renderConfigurationReference(): string {
  const sections = Map.groupBy(
    Object.entries(OPTIONS) as [OptionKey, OptionSpec][],
    ([key]) => key.split('.')[0] ?? '',
  );
  return [
    '# Configuration\n',
    GENERATED,
    'A value comes from, later ones winning: the fallback below, `environments/base.yaml`,',
    '`environments/<environment>.yaml` (keys dotted, or nested by section), a variable, `--set key=value`.',
    '`millrace config show` prints every effective value and where it came from; `millrace config explain KEY` one.',
    'A key or variable that is not listed here is refused. Lists are comma lists (or YAML lists); a switch is `on`',
    'or `off` (or `true`, `false`). Secrets are references: `env:NAME` or `file:PATH`.\n',
    'Not configuration but where to find things: `MILLRACE_ENV`, `MILLRACE_DATA`, `MILLRACE_URL`, `MILLRACE_TOKEN`;',
    'see [the command line](cli.md).\n',
    ...[...sections].map(([section, rows]) => optionSection(section, rows)),
  ].join('\n');
}

function optionSection(section: string, rows: readonly (readonly [OptionKey, OptionSpec])[]): string {
  const lines = rows.map(([key, spec]) => {
    const cells = [`\`${key}\``, kindOf(spec), fallbackOf(spec), spec.does, `\`${variableOf(key)}\``];
    return `| ${cells.map(cell).join(' | ')} |`;
  });
  return table(`## ${section}\n`, '| key | is | fallback | does | variable |', lines);
}

function kindOf({ type, min, max, oneOf }: OptionSpec): string {
  if (oneOf !== undefined) return oneOf.map(text => `\`${text}\``).join(' or ');
  if (type !== 'integer') return type;
  return max === undefined || max === Number.MAX_SAFE_INTEGER
    ? `integer >= ${min ?? 0}`
    : `integer, ${min} to ${max}`;
}

function fallbackOf({ fallback }: OptionSpec): string {
  if (typeof fallback === 'boolean') return fallback ? '`on`' : '`off`';
  const text = Array.isArray(fallback) ? fallback.join(',') : String(fallback);
  return text === '' ? '(empty)' : `\`${text}\``;
}

const KINDS: Readonly<Record<ErrorKind, string>> = {
  invalid: 'The data or the request is at fault: an answer, never a crash. Exit code 1.',
  unavailable: 'The world is at fault: worth trying again. Exit code 1.',
  misuse: 'The operator can mend the call. Exit code 2.',
  bug: 'Millrace is at fault: please report it. Exit code 1.',
};

/** docs/reference/errors.md, from the table of errors. */
export function renderErrorReference(): string {
  const groups = Map.groupBy(Object.entries(ERRORS), ([, row]) => row.kind);
  return [
    '# Errors\n',
    GENERATED,
    'Every error has a code that keeps its meaning, says what happened and why (what was seen), and what to do next.',
    'The same codes stand in HTTP answers, on the command line, and on rejected and dropped events.\n',
    ...Object.entries(KINDS).map(([kind, does]) =>
      errorSection(kind, does, groups.get(kind as ErrorKind) ?? []),
    ),
  ].join('\n');
}

function errorSection(
  kind: string,
  does: string,
  rows: readonly (readonly [string, { httpStatus: number; message: string; remedy: string }])[],
): string {
  const lines = rows.map(
    ([code, row]) => `| \`${code}\` | ${row.httpStatus} | ${cell(row.message)} | ${cell(row.remedy)} |`,
  );
  return table(`## ${kind}\n\n${does}\n`, '| code | HTTP | what happened | what to do |', lines);
}

function table(title: string | undefined, head: string, rows: readonly string[]): string {
  const rule = head.replace(/[^|]+/g, '---');
  const lines = [head, rule, ...rows, ''];
  return (title === undefined ? lines : [title, ...lines]).join('\n');
}

/** A text inside a table: a bar would end its cell, and angle brackets would pass for HTML. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/<([a-z]+)>/g, '&lt;$1&gt;');
}
