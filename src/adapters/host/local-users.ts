import { spawnSync } from 'node:child_process';
import { userInfo } from 'node:os';
import { MillraceError } from '../../core/errors.ts';

/** Numbers of an OS user and of its first group. */
export interface UserIds {
  readonly uid: number;
  readonly gid: number;
}

/** Looks OS users up through `id`, which knows every source of users that the machine has; each one once. */
export class LocalUsers {
  readonly login = userInfo().username;
  readonly isRoot = process.getuid?.() === 0;
  readonly #ids = new Map<string, UserIds>();
  readonly #names = new Map<number, string>();

  /** Throws ERR_HOST_COMMAND where there is no such user. */
  idsOf(user: string): UserIds {
    const known = this.#ids.get(user);
    if (known !== undefined) return known;
    const ids = { uid: Number(ask('-u', user)), gid: Number(ask('-g', user)) };
    this.#ids.set(user, ids);
    return ids;
  }

  /** The number as text where no user has it. */
  nameOf(uid: number): string {
    const known = this.#names.get(uid);
    if (known !== undefined) return known;
    const name = uid === process.getuid?.() ? this.login : (tryAsk('-nu', String(uid)) ?? String(uid));
    this.#names.set(uid, name);
    return name;
  }

  /**
   * The arguments that run a command as a user; ours unchanged. The pid stays the command's: setpriv replaces
   * itself. Throws ERR_HOST_COMMAND where this login may not become the user.
   */
  argvAs(user: string | undefined, argv: readonly string[]): readonly string[] {
    if (user === undefined || user === this.login) return argv;
    if (!this.isRoot) {
      throw new MillraceError('ERR_HOST_COMMAND', `${this.login} may not run commands as ${user}`);
    }
    const { uid, gid } = this.idsOf(user);
    return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--', ...argv];
  }
}

function ask(flag: string, user: string): string {
  const answer = tryAsk(flag, user);
  if (answer === undefined) throw new MillraceError('ERR_HOST_COMMAND', `there is no user ${user}`);
  return answer;
}

function tryAsk(flag: string, user: string): string | undefined {
  const { status, stdout } = spawnSync('id', [flag, '--', user], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
