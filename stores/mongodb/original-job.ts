import { MAX_REPLICAS, type Descriptor } from '../../schemas/descriptor.js'
import type { Instance, Job } from '../../schemas/job.js'
import { isHexId, toPort } from '../../schemas/primitives.js'
import { PLACEMENT_FAILURES, STATUSES, type Status } from '../../schemas/status.js'
import { toNumber } from './cluster-document.js'
import type { JobDocument } from './collections.js'

/** A document of the original counts as this revision. */
export const ORIGINAL_REVISION = 1

/** Statuses of a job of which nothing runs on a cluster. */
const NOWHERE: readonly Status[] = ['REQUESTED', 'UNDEPLOYED', ...PLACEMENT_FAILURES]

/**
 * A job that the original wrote: a descriptor with a few fields more, any of which may be missing. It has statuses for
 * jobs only, and no instances before a placement.
 */
export function fromOriginal ({ _id, ...document }: JobDocument): Job {
  // Ids and dates as text, as the rest of the server knows them.
  const {
    job_name: name,
    status: reportedStatus,
    replicas: reportedReplicas,
    service_ip_list: services,
    instance_list: placed,
    ...fields
  } = JSON.parse(JSON.stringify(document)) as Record<string, unknown>
  const createdAt = _id.getTimestamp().toISOString()
  const status = asStatus(reportedStatus)
  const descriptor = asDescriptor(fields, typeof name === 'string' ? name : undefined)
  const instances = asObjects(placed).map((instance, index) => asInstance(instance, index, status, createdAt))
  const replicas = Math.max(Math.min(asCount(reportedReplicas) ?? 1, MAX_REPLICAS), instances.length)
  const gone = status === 'UNDEPLOYED'
  const addresses = asObjects(services).map(({ Address }) => Address).filter(address => typeof address === 'string')
  return {
    id: _id.toHexString(),
    job_name: typeof name === 'string'
      ? name
      : [descriptor.app_name, descriptor.app_ns, descriptor.service_name, descriptor.service_ns].join('.'),
    descriptor,
    desired_state: gone ? 'undeployed' : 'running',
    replicas,
    status,
    status_reason: null,
    service_ip_list: gone ? [] : [{ IpType: 'RR', Address: addresses[0] ?? '' }],
    instance_list: gone
      ? []
      : Array.from({ length: replicas }, (_, number) => instances[number] ?? asInstance({}, number, status, createdAt)),
    retiring: [],
    removals: [],
    explanation: null,
    rollout: null,
    revisions: [],
    due_at: null,
    fence: 0,
    generation: 1,
    revision: ORIGINAL_REVISION,
    created_at: createdAt,
    updated_at: createdAt
  }
}

function asStatus (value: unknown): Status {
  return STATUSES.find(status => status === value) ?? 'REQUESTED'
}

function asInstance (fields: Record<string, unknown>, index: number, jobStatus: Status, since: string): Instance {
  // Anything else is the id of no cluster.
  const clusterId = isHexId(fields.cluster_id) ? fields.cluster_id : ''
  const isPlaced = clusterId !== ''
  const fallback = isPlaced === NOWHERE.includes(jobStatus) ? (isPlaced ? 'CLUSTER_SCHEDULED' : 'REQUESTED') : jobStatus
  return {
    instance_number: asCount(fields.instance_number) ?? index,
    instance_ip: asText(fields.instance_ip),
    cluster_id: clusterId,
    namespace_ip: asText(fields.namespace_ip),
    host_ip: asText(fields.host_ip),
    host_port: toPort(fields.host_port),
    status: STATUSES.find(status => status === fields.status) ?? fallback,
    status_reason: null,
    status_since: since,
    generation: 1,
    move: null,
    // The original knows no other clusters.
    original: true,
    told: null,
    location: null,
    attempts: 0,
    silent: false,
    awaits: null,
    given_up: false,
    refusals: []
  }
}

/** The fields that a descriptor must have, from the job's name where they are missing. */
function asDescriptor (fields: Record<string, unknown>, name = '...'): Descriptor {
  const [app = '', appNs = '', service = '', serviceNs = ''] = name.split('.')
  return {
    api_version: 'v0.1',
    image: '',
    image_runtime: 'docker',
    ...fields,
    ...(isObject(fields.requirements) && { requirements: withNumbers(fields.requirements) }),
    app_name: asText(fields.app_name ?? app),
    app_ns: asText(fields.app_ns ?? appNs),
    service_name: asText(fields.service_name ?? service),
    service_ns: asText(fields.service_ns ?? serviceNs)
  }
}

/** The original takes figures as text too. What is no figure stays, for the scheduler to complain about. */
function withNumbers (requirements: Record<string, unknown>): Record<string, unknown> {
  const { cpu, memory, ...others } = requirements
  return {
    ...others,
    ...(cpu !== undefined && { cpu: toNumber(cpu) ?? cpu }),
    ...(memory !== undefined && { memory: toNumber(memory) ?? memory })
  }
}

/** Undefined for what is no whole number of something. */
function asCount (value: unknown): number | undefined {
  const number = toNumber(value)
  return number !== null && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

function asObjects (value: unknown): Array<Record<string, unknown>> {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function isObject (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function asText (value: unknown): string {
  return value === null || value === undefined ? '' : String(value)
}
