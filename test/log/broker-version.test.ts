import assert from 'node:assert/strict';
import { it } from 'node:test';
import { releaseOf, releaseProblem } from '../../src/adapters/log/kafka/broker-version.ts';

const BROKERS = ['broker.example:9092'];

it('refuses brokers before Kafka 3.0 by name, with where and what to do', () => {
  const old = [
    { apiKey: 3, minVersion: 0, maxVersion: 11 },
    { apiKey: 10, minVersion: 0, maxVersion: 3 },
  ];
  const { code, why, remedy } = releaseProblem(BROKERS, old)!;
  assert.equal(code, 'ERR_NOT_READY');
  assert.match(why, /^broker\.example:9092: Kafka is older than 3\.0/);
  assert.match(remedy, /^Upgrade/);
  assert.equal(releaseProblem(BROKERS, [])!.code, 'ERR_NOT_READY');
  assert.equal(releaseProblem(BROKERS, [{ apiKey: 10, minVersion: 0, maxVersion: 4 }]), null);
  assert.equal(releaseProblem(BROKERS, [{ apiKey: 10, minVersion: 0, maxVersion: 6 }]), null);
});

it('tells a release by the oldest call that is taken', () => {
  assert.equal(releaseOf([{ apiKey: 1, minVersion: 0, maxVersion: 17 }]), 'Kafka 3');
  assert.equal(releaseOf([{ apiKey: 1, minVersion: 4, maxVersion: 18 }]), 'Kafka 4 or newer');
});
