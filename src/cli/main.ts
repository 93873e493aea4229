import { CommanderError } from 'commander';
import { ERRORS, exitCodeOf, MillraceError } from '../core/errors.ts';
import { systemError } from '../core/store-error.ts';
import { COMMANDS, GROUPS } from './command-list.ts';
import { endWithReader, reportFailure } from './output.ts';
import { buildProgram } from './program.ts';

/**
 * Runs one command line (the arguments after the program's name) and sets the process's exit code: 0 done,
 * 1 failed, 2 misuse. Never exits by itself, so that what was written gets out.
 */
async function runCommandLine(args: readonly string[]): Promise<void> {
  const program = buildProgram(exitCode => {
    process.exitCode = exitCode;
  });
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: 'user' });
  } catch (caught) {
    if (caught instanceof CommanderError && caught.exitCode === 0) return;
    const error =
      caught instanceof CommanderError ? usageError(caught, args) : withHelp(systemError(caught), args);
    reportFailure(error, wantsJson(args));
    process.exitCode = exitCodeOf(error);
  }
}

/** The parser's complaint in our words: `error: unknown option '--x'` and its suggestion on one line. */
function usageError(error: CommanderError, args: readonly string[]): MillraceError {
  // It has printed the help, which says what there is.
  if (error.code === 'commander.help') {
    const [first = '', second = ''] = args.filter(arg => !arg.startsWith('-'));
    const why =
      first === 'help' ? `there is no command "${second}"` : `"${first}" is not a command by itself`;
    return new MillraceError('ERR_USAGE', why, { remedy: `millrace ${commandOf(args)}--help` });
  }
  const why = error.message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replace('(Did', '(did');
  const isUnknown = error.code === 'commander.unknownCommand';
  return new MillraceError('ERR_USAGE', why, {
    remedy: isUnknown ? 'millrace --help lists the commands.' : `millrace ${commandOf(args)}--help`,
  });
}

/** The complaint of a command that has nothing better to say than where its help is: says which help. */
function withHelp(error: unknown, args: readonly string[]): unknown {
  if (!(error instanceof MillraceError) || error.remedy !== ERRORS.ERR_USAGE.remedy) return error;
  return new MillraceError('ERR_USAGE', error.why, {
    cause: error,
    remedy: `millrace ${commandOf(args)}--help`,
  });
}

/** The longest command or group that was typed, with a blank after it; nothing where none was. */
function commandOf(args: readonly string[]): string {
  const words = ` ${args.filter(arg => !arg.startsWith('-')).join(' ')} `;
  const paths = [...COMMANDS.map(spec => spec.path), ...Object.keys(GROUPS)];
  const typed = paths.filter(path => words.includes(` ${path} `)).sort((a, b) => b.length - a.length);
  return typed[0] === undefined ? '' : `${typed[0]} `;
}

function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}

endWithReader();
const [first, ...rest] = process.argv.slice(2);
// What most programs have beside their commands.
const isVersion = first === '--version' || first === '-V';
await runCommandLine(isVersion ? ['version', ...rest] : process.argv.slice(2));
