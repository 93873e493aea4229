import type { ParameterMapping } from '../../core/operation-documents.ts';

const RELEASE_TAG = {
  flag: '--release-tag',
  because: 'the files that run are sealed; this version builds no other ref',
};
const RELEASE = {
  flag: '--release',
  because: 'one release holds all artifacts; the one that runs is deployed, this version takes no other',
};
const INVENTORY = {
  original: 'private_branch',
  flag: null,
  because: 'the inventory is environments/<env>.yaml; its digest stands in every receipt',
};
const PUBLIC_REF = {
  original: 'branch_or_tag',
  flag: '--release-tag',
  because: 'operations and program are one release',
};
const HOSTS = {
  flag: '--role, --host',
  because: 'operations act from this machine; this version takes no other',
};

/** Parameters of every job of the original's Build folder. */
export const BUILD_PARAMETERS: readonly ParameterMapping[] = [
  { original: 'github_release_tag', ...RELEASE_TAG },
];

/** Parameters of every job of its OpsAdministration folder. */
export const BOOTSTRAP_PARAMETERS: readonly ParameterMapping[] = [
  { original: 'hosts', ...HOSTS },
  INVENTORY,
  PUBLIC_REF,
];

/** Parameters of every job of its Provision folder. */
export const PROVISION_PARAMETERS: readonly ParameterMapping[] = [INVENTORY, PUBLIC_REF];

/** Of the Provision jobs that chose their hosts. */
export const REMOTE_PARAMETERS: readonly ParameterMapping[] = [
  { original: 'remote', ...HOSTS },
  ...PROVISION_PARAMETERS,
];

/** Parameters of every job of its Deploy folder. */
export const DEPLOY_PARAMETERS: readonly ParameterMapping[] = [
  { original: 'artifact_version', ...RELEASE },
  { original: 'build_number', ...RELEASE },
  { original: 'image_tag', ...RELEASE },
  {
    original: 'absolute_job_path',
    flag: null,
    because: 'a release is found by its name, not by the job that made it',
  },
  {
    original: 'artifact_source',
    flag: null,
    because: 'there is one place of releases, and each file is checked against its digest',
  },
  INVENTORY,
  PUBLIC_REF,
];

/** Of Deploy/Yarn. */
export const YARN_PARAMETERS: readonly ParameterMapping[] = [
  {
    original: 'job_names_to_deploy',
    flag: '--job',
    because: 'exact names, repeatable; none deploys all, where the original deployed nothing',
  },
  ...DEPLOY_PARAMETERS,
];

/** Of Deploy/SamzaTelemetrySchemas. */
export const SCHEMA_PARAMETERS: readonly ParameterMapping[] = [
  {
    original: 'schema_repo_version',
    flag: '--schemas',
    because: 'schemas are part of the release; this version takes no others',
  },
  ...DEPLOY_PARAMETERS,
];
