import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MillraceError } from '../../src/core/errors.ts';
import { indexOperations, levelsOf, withNeeds } from '../../src/operations/engine/graph.ts';
import { operationId, operationPath } from '../../src/operations/engine/operation.ts';
import { resolvePath } from '../../src/operations/engine/paths.ts';
import { OPERATIONS } from '../../src/operations/list.ts';

const scope = { operations: OPERATIONS, environments: ['local', 'production'], environment: 'local' };

function idsOf(text: string): readonly string[] {
  return resolvePath(text, scope).operations.map(operationId);
}

describe('operation paths', () => {
  it('take the canonical path of each operation to it alone', () => {
    assert.equal(OPERATIONS.length, 24);
    for (const operation of OPERATIONS) {
      const path = operationPath(operation, 'local');
      const resolved = resolvePath(path, scope);
      assert.deepEqual(resolved.operations, [operation], path);
      assert.equal(resolved.environment, operation.folder === 'Build' ? undefined : 'local', path);
    }
  });

  it('take every alias', () => {
    const aliases: readonly [string, string][] = [
      ['Provision/local/DataPipeline/kafka', 'Provision/Kafka'],
      ['provision/LOCAL/datapipeline/KAFKA', 'Provision/Kafka'],
      ['Provision/local/Kafka', 'Provision/Kafka'],
      ['Provision/DataPipeline/Kafka', 'Provision/Kafka'],
      ['Provision/Kafka', 'Provision/Kafka'],
      ['Kafka', 'Provision/Kafka'],
      ['/Provision/Kafka/', 'Provision/Kafka'],
      ['Provision/<env>/DataPipeline/Kafka', 'Provision/Kafka'],
      ['Deploy/local/DataPipeline/AnalyticsAPI', 'Deploy/AnalyticsApi'],
      ['Provision/local/DataPipeline/InfluxDB', 'Provision/Influxdb'],
      ['RedisCluster', 'Provision/Redis'],
      ['SamzaTelemertySchemas', 'Deploy/SamzaTelemetrySchemas'],
      ['DevOps Administration/local/DataPipeline/Bootstrap', 'OpsAdministration/Bootstrap'],
      ['OpsAdministration/Bootstrap', 'OpsAdministration/Bootstrap'],
      ['ArtifactUpload/local/DataPipeline/Secor', 'Build/Secor'],
      ['Build/Secor', 'Build/Secor'],
      ['Build/DataPipeline/DataPipeline', 'Build/DataPipeline'],
      ['AnalyticsSecor', 'Provision/AnalyticsSecor'],
    ];
    for (const [text, id] of aliases) assert.deepEqual(idsOf(text), [id], text);
  });

  it('name all below a prefix, in the order of the list', () => {
    for (const prefix of ['Build', 'Build/DataPipeline', 'build/'])
      assert.equal(idsOf(prefix).length, 5, prefix);
    for (const prefix of ['Provision', 'Provision/local', 'Provision/local/DataPipeline']) {
      assert.equal(idsOf(prefix).length, 10, prefix);
    }
    assert.equal(idsOf('Deploy').length, 8);
    assert.equal(resolvePath('Provision/production', scope).environment, 'production');
  });

  it('say which ones a name fits, and the nearest for one that fits none', () => {
    const refusals: readonly [string, string, RegExp][] = [
      [
        'Yarn',
        'ERR_OPERATION_AMBIGUOUS',
        /Provision\/local\/DataPipeline\/Yarn and Deploy\/local\/DataPipeline\/Yarn/,
      ],
      [
        'Secor',
        'ERR_OPERATION_AMBIGUOUS',
        /Build\/DataPipeline\/Secor and Deploy\/local\/DataPipeline\/Secor/,
      ],
      ['Kafak', 'ERR_OPERATION_UNKNOWN', /did you mean Kafka\?/],
      [
        'Provision/local/DataPipeline/Kafak',
        'ERR_OPERATION_UNKNOWN',
        /did you mean Provision\/local\/DataPipeline\/Kafka\?/,
      ],
      [
        'Provision/Kafka/more',
        'ERR_OPERATION_UNKNOWN',
        /"Provision\/Kafka\/more" \(did you mean \S+\/Kafka\?/,
      ],
      [
        'Provision/Kafka/Redis',
        'ERR_OPERATION_UNKNOWN',
        /did you mean Provision\/local\/DataPipeline\/Kafka or Provision\/local\/DataPipeline\/Redis\?/,
      ],
      ['/Provision/local/Kafka/Redis', 'ERR_OPERATION_UNKNOWN', /Kafka or \S+\/Redis\?/],
      ['Build/DataPipeline/Secr', 'ERR_OPERATION_UNKNOWN', /did you mean Build\/DataPipeline\/Secor\?/],
      ['Provision/KafkaSetup/Redis', 'ERR_OPERATION_UNKNOWN', /did you mean \S+\/Redis\?/],
      ['', 'ERR_OPERATION_UNKNOWN', /no operation ""/],
    ];
    for (const [text, code, why] of refusals) {
      assert.throws(
        () => resolvePath(text, scope),
        (error: unknown) => error instanceof MillraceError && error.code === code && why.test(error.why),
        text,
      );
    }
  });
});

describe('the graph of operations', () => {
  it('has every need in the list and no circle', () => {
    indexOperations(OPERATIONS);
    const levels = levelsOf(OPERATIONS);
    assert.equal(levels.flat().length, OPERATIONS.length);
    const done = new Set<string>();
    for (const level of levels) {
      for (const operation of level) for (const need of operation.needs) assert.ok(done.has(need), need);
      for (const operation of level) done.add(operationId(operation));
    }
  });

  it('pulls Zookeeper in where Yarn is asked for', () => {
    const yarn = OPERATIONS.filter(operation => operationId(operation) === 'Provision/Yarn');
    assert.deepEqual(withNeeds(yarn, OPERATIONS).map(operationId), [
      'OpsAdministration/Bootstrap',
      'Provision/Yarn',
      'Provision/Zookeeper',
    ]);
  });

  it('has a title, a purpose and the fate of each parameter for every operation', () => {
    for (const operation of OPERATIONS) {
      const { title, does, parameters } = operation;
      assert.ok(title.length > 5 && does.endsWith('.') && parameters.length > 0, operationId(operation));
      for (const { because } of parameters) assert.ok(because.length > 10, operationId(operation));
    }
  });
});
