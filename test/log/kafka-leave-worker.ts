import { openKafkaLog } from '../../src/adapters/log/kafka/kafka-log.ts';
import { fullTopic } from '../../src/core/topics.ts';
import { kafkaLogOptions } from './kafka-fixture.ts';

// A process that gives up joining a group after so many ms and closes its log: `<environment> <ms>`. It ends by itself
// then, as nothing keeps it up.
const [environment, leaveAfterMs] = process.argv.slice(2) as [string, string];
const log = await openKafkaLog(kafkaLogOptions(environment, { instance: 1 }));
const stopping = new AbortController();
const joining = log.consume('g', [fullTopic(environment, 'alpha')], stopping.signal);
setTimeout(() => stopping.abort(), Number(leaveAfterMs));
const member = await joining.catch(() => null);
await member?.close();
await log.close();
