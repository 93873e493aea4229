import { setTimeout as sleep } from 'node:timers/promises';
import { openKafkaLog } from '../../src/adapters/log/kafka/kafka-log.ts';
import { MillraceError } from '../../src/core/errors.ts';
import { fullTopic } from '../../src/core/topics.ts';
import { COPY_STAGES, COPY_TOPICS, copyGroups, runCopy } from './kafka-copies.ts';
import { kafkaLogOptions } from './kafka-fixture.ts';

// A worker process of two stages through one log: `<environment> <instance>`. Leaves with 3 when it is fenced off, as
// a worker of the product does, and with 0 after SIGTERM. With `hold` behind, it says `held` when it has work in its
// hands and commits it two seconds later: time to stop it in between.
const [environment, instance, hold] = process.argv.slice(2) as [string, string, string | undefined];
const stopping = new AbortController();
process.on('SIGTERM', () => stopping.abort());
try {
  const log = await openKafkaLog(
    kafkaLogOptions(environment, {
      role: 'chain',
      instance: Number(instance),
      topics: COPY_TOPICS.map(name => fullTopic(environment, name)),
      plainTopics: [fullTopic(environment, 'telemetry.ingest')],
      groups: copyGroups(environment),
    }),
  );
  process.stdout.write('up\n');
  if (hold === 'hold') {
    const commit = log.commit.bind(log);
    log.commit = async work => {
      process.stdout.write('held\n');
      await sleep(2_000);
      return commit(work);
    };
  }
  await Promise.all(COPY_STAGES.map(stage => runCopy(log, environment, { stage, signal: stopping.signal })));
  await log.close();
  process.exit(0);
} catch (error) {
  if (!(error instanceof MillraceError)) throw error;
  process.stderr.write(`${error.code} ${error.why}\n`);
  process.exit(error.code === 'ERR_LOG_FENCED' ? 3 : 4);
}
