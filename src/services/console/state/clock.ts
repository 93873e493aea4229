import { signal } from '@preact/signals';

/** The time by this machine, epoch ms, once a second: for times that are told as "ago". */
export const nowMs = signal(Date.now());

setInterval(() => {
  nowMs.value = Date.now();
}, 1000);
