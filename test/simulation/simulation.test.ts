import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type SimulationReport, simulate } from './simulate.ts';

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);

describe('the pipeline through kills, stops and failing stores', () => {
  const reports: SimulationReport[] = [];

  for (const seed of SEEDS) {
    it(`delivers everything once: seed ${seed}`, async () => {
      const report = await simulate(seed);
      reports.push(report);
      assert.ok(report.acknowledged > 50, `${report.acknowledged} batches acknowledged`);
      assert.ok(report.duplicates > 10, `${report.duplicates} duplicates recognised`);
    });
  }

  it('runs the same way again', async () => {
    assert.deepEqual(await simulate(SEEDS[0]!), reports[0]);
  });

  it('met every kind of fault', () => {
    const sum = (what: keyof SimulationReport) => reports.reduce((total, report) => total + report[what], 0);
    const met = {
      kills: 40,
      stops: 5,
      collapses: 3,
      failures: 500,
      resends: 300,
      recoveries: 15,
      verifications: 5,
    };
    for (const [what, least] of Object.entries(met)) {
      const total = sum(what as keyof SimulationReport);
      assert.ok(total >= least, `${what}: ${total} in ${reports.length} runs`);
    }
  });
});
