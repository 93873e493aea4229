import { type Logger, pino } from 'pino';

export type { Logger };

/** A logger that writes JSON lines to standard error; `component` names the part that speaks. */
export function createLogger(level: string, component: string): Logger {
  return pino(
    { level, base: { component }, timestamp: () => `,"timeMs":${Date.now()}` },
    pino.destination({ dest: 2, sync: true }),
  );
}
