import { Command, Option } from 'commander';
import { readSettings } from '../config/environment.ts';
import { didYouMean } from '../config/suggest.ts';
import { MillraceError } from '../core/errors.ts';
import { Call } from './call.ts';
import { COMMANDS, GLOBAL_OPTIONS, GROUPS } from './command-list.ts';
import type { CommandSpec } from './command-spec.ts';
import { openOutput } from './output.ts';

const ABOUT =
  'A self-hosted telemetry pipeline: ingest, validate, deduplicate, denormalise, route, archive, query.';

/**
 * Builds the parser from the list of commands. `finished` gets the exit code of the command that ran. Parsing
 * throws CommanderError (help was shown, or the line is wrong) or what the command throws.
 */
export function buildProgram(finished: (exitCode: number) => void): Command {
  const program = new Command('millrace').description(ABOUT).usage('<command> [options]');
  program.configureHelp({ showGlobalOptions: true, helpWidth: 80 });
  for (const [flags, does] of GLOBAL_OPTIONS) program.addOption(repeatable(new Option(flags, does)));
  quiet(program)
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command');
  program.addHelpText('after', '\nStart with: millrace up');
  for (const spec of COMMANDS) addCommand(program, spec, finished);
  return program;
}

/** Makes commander throw instead of printing and exiting, so that one place says what went wrong. */
function quiet(command: Command): Command {
  return command.exitOverride().configureOutput({ outputError: () => undefined });
}

/** `<key=value>`, `<dataset=file>` and `<name...>` options collect what they are given, one value each time. */
function repeatable(option: Option): Option {
  if (option.variadic) option.variadic = false;
  else if (!option.flags.includes('=')) return option;
  return option.argParser((text: string, texts: readonly string[] = []) => [...texts, text]);
}

/** The group's parser, made with the first of its commands, so that help keeps the order of the list. */
function groupOf(program: Command, name: string): Command {
  const made = program.commands.find(group => group.name() === name);
  if (made !== undefined) return made;
  const names = COMMANDS.filter(spec => spec.path.startsWith(`${name} `)).map(
    spec => spec.path.split(' ')[1],
  );
  const group = quiet(program.command(name)).description(GROUPS[name] ?? '');
  return group.usage(`[${names.join(' | ')}]`).helpCommand(false);
}

function addCommand(program: Command, spec: CommandSpec, finished: (exitCode: number) => void): void {
  const [first = '', second] = spec.path.split(' ');
  const parent = second === undefined ? program : groupOf(program, first);
  const command = parent.command(second ?? first, { isDefault: spec.isDefault === true });
  quiet(command).description(spec.does);
  if (spec.args !== undefined) command.arguments(spec.args);
  for (const [flags, does] of spec.options ?? []) command.addOption(repeatable(new Option(flags, does)));
  command.addHelpText('after', `\nExamples:\n${spec.examples.map(line => `  ${line}\n`).join('')}`);
  // Counted here rather than by commander: what follows a group's default command is a mistyped command.
  command.allowExcessArguments(true);
  command.action(async () => {
    refuseSurplus(command, parent, spec);
    const exitCode = await (await spec.load())(callOf(command));
    finished(exitCode ?? 0);
  });
}

function refuseSurplus(command: Command, parent: Command, spec: CommandSpec): void {
  const declared = command.registeredArguments;
  const surplus = command.args[declared.length];
  if (surplus === undefined || declared.at(-1)?.variadic === true) return;
  const help = { remedy: `millrace ${spec.path} --help` };
  if (spec.isDefault !== true) throw new MillraceError('ERR_USAGE', `unexpected argument "${surplus}"`, help);
  const names = parent.commands.map(sibling => sibling.name());
  const why = `there is no command "${parent.name()} ${surplus}"${didYouMean(surplus, names)}`;
  throw new MillraceError('ERR_USAGE', why, { remedy: `millrace ${parent.name()} --help` });
}

function callOf(command: Command): Call {
  const options = command.optsWithGlobals<Record<string, unknown>>();
  const text = (name: string): string | undefined => {
    const value = options[name];
    return typeof value === 'string' ? value : undefined;
  };
  const settings = readSettings({
    env: text('env'),
    data: text('data'),
    url: text('url'),
    set: Array.isArray(options['set']) ? options['set'].map(String) : [],
  });
  const output = openOutput({ json: options['json'] === true, quiet: options['quiet'] === true });
  return new Call(settings, output, { args: command.args, options });
}
