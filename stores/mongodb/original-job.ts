import { MAX_REPLICAS, type Descriptor } from '../../schemas/descriptor.js'
import type { Instance, Job } from '../../schemas/job.js'
import { toPort } from '../../schemas/primitives.js'
import { hasBegun } from '../../schemas/job-facts.js'
import { PLACEMENT_FAILURES, STATUSES, WAY_UP, type Status } from '../../schemas/status.js'
import { toNumber } from './cluster-document.js'
import type { JobDocument } from './collections.js'

/** A document of the original counts as this revision. */
export const ORIGINAL_REVISION = 1

/** Statuses of a job that runs, or has run to its end, on some cluster. */
const RUNS: readonly Status[] = [...WAY_UP.slice(WAY_UP.indexOf('NODE_SCHEDULED')), 'COMPLETED']

/** Characters shown of what is no id. */
const MAX_PLACE = 80

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
  // An older release has the cluster beside the list.
  const list = asObjects(placed)
  const found = list.length > 0 || !fields.cluster ? list : [{ cluster_id: fields.cluster }]
  const instances = found.map((instance, index) => asInstance(instance, index, status, createdAt))
  const replicas = Math.max(Math.min(asCount(reportedReplicas) ?? 1, MAX_REPLICAS), instances.length)
  const gone = status === 'UNDEPLOYED'
  const addresses = asObjects(services).map(({ Address }) => Address).filter(address => typeof address === 'string')
  if (addresses.length === 0) addresses.push('')
  const all = gone
    ? []
    : Array.from({ length: replicas }, (_, number) => instances[number] ?? asInstance({}, number, status, createdAt))
  return {
    id: _id.toHexString(),
    job_name: typeof name === 'string'
      ? name
      : [descriptor.app_name, descriptor.app_ns, descriptor.service_name, descriptor.service_ns].join('.'),
    descriptor,
    desired_state: gone ? 'undeployed' : 'running',
    replicas,
    status,
    status_reason: all.find(({ given_up: isLeftAlone }) => isLeftAlone)?.status_reason ?? null,
    service_ip_list: gone ? [] : addresses.map(Address => ({ IpType: 'RR', Address })),
    instance_list: all,
    retiring: [],
    repeats: [],
    // Its clusters go on reporting it.
    removals: gone ? removalsFrom(instances, createdAt) : [],
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

/** It was removed by the time that it was undeployed; what its clusters say of it will be heard. */
function removalsFrom (instances: Instance[], at: string): Job['removals'] {
  const clusters = new Set(instances.map(({ cluster_id: id }) => id).filter(id => id !== ''))
  return [...clusters].map(id => ({ cluster_id: id, at, told: null }))
}

function asStatus (value: unknown): Status {
  return STATUSES.find(status => status === value) ?? 'REQUESTED'
}

function asInstance (fields: Record<string, unknown>, index: number, jobStatus: Status, since: string): Instance {
  const clusterId = idIn(fields.cluster_id) ?? ''
  const isPlaced = clusterId !== ''
  // Another one beside it might be one too many, and where it is nobody could be told to remove it.
  const isSomewhere = !isPlaced && (hasText(fields.cluster_id) || RUNS.includes(jobStatus))
  const fallback = isSomewhere
    ? jobStatus
    : isPlaced === NOWHERE.includes(jobStatus) ? (isPlaced ? 'CLUSTER_SCHEDULED' : 'REQUESTED') : jobStatus
  const status = STATUSES.find(status => status === fields.status) ?? fallback
  return {
    instance_number: asCount(fields.instance_number) ?? index,
    instance_ip: asText(fields.instance_ip),
    cluster_id: clusterId,
    namespace_ip: asText(fields.namespace_ip),
    host_ip: asText(fields.host_ip),
    host_port: toPort(fields.host_port),
    status,
    status_reason: isSomewhere ? leftAlone(fields.cluster_id) : null,
    status_since: since,
    generation: 1,
    move: null,
    // The original knows no other clusters.
    original: isPlaced,
    told: isPlaced && hasBegun(status) ? status : null,
    location: null,
    attempts: 0,
    told_apart: false,
    silent: false,
    awaits: null,
    given_up: isSomewhere,
    offered: null,
    refusals: []
  }
}

/**
 * The id in what the original wrote: as it is, or as `{'$oid': '…'}` and `ObjectId('…')`, which its programs have also
 * written as text. Undefined for what names no one id.
 */
function idIn (value: unknown): string | undefined {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? '')
  const found = text.toLowerCase().match(/(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])/g) ?? []
  return found.length === 1 ? found[0] : undefined
}

function hasText (value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function leftAlone (place: unknown): string {
  const where = hasText(place)
    ? `on ${JSON.stringify(place).slice(0, MAX_PLACE)}, which is no id of a cluster`
    : 'somewhere that its document does not name'
  return `runs ${where}: left alone until it is deployed with another descriptor`
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
