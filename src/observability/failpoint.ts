let armed = '';
let passesLeft = 0;

/**
 * Arms one failpoint: `name`, or `name:N` to let N passes go by. The process then kills itself there with
 * SIGKILL, as a power cut would. Empty disarms.
 */
export function armFailpoint(spec: string): void {
  const [name = '', passes = '0'] = spec.split(':');
  armed = name;
  passesLeft = Number(passes);
}

/** A named place before or after a durable step. Costs one comparison where nothing is armed. */
export function failpoint(name: string): void {
  if (armed === '' || armed !== name) return;
  if (passesLeft-- > 0) return;
  process.kill(process.pid, 'SIGKILL');
  // The signal may be delivered a moment later; nothing may run past this place.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
}

/** True where the failpoint is armed: for a step that must be broken in two to die in its middle. */
export function isFailpointArmed(name: string): boolean {
  return armed !== '' && armed === name;
}
