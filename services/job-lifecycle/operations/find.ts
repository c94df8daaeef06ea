import { ApiError } from '../../../schemas/errors.js'
import type { Job, Revision } from '../../../schemas/job.js'
import type { JobEvent } from '../../../schemas/job-event.js'
import { underscored } from '../../../schemas/job-facts.js'
import { isHexId } from '../../../schemas/primitives.js'
import type { Status } from '../../../schemas/status.js'
import type { JobQuery, JobStore } from '../../../stores/store.js'

/** Four names joined by dots, or by underscores (contract sections 1 and 6). */
const NAME = /^[\w-]+([._][\w-]+){3,}$/

/**
 * Finds jobs. A `ref` is a job id, a job name, or a job name with "_" for "." (contract section 2). Any other form:
 * `job_ref_malformed`. No such job: `job_not_found`. A name that fits two jobs: `job_name_ambiguous`.
 */
export interface JobFinder {
  find (ref: string): Promise<Job>
  /** The same, with the descriptors of all its revisions. */
  findWhole (ref: string): Promise<Job>
  status (ref: string): Promise<Status>
  /** Look-up for cluster managers (contract section 2). Undefined for an unknown name, which is no error there. */
  byNameForClusters (name: string): Promise<Job | undefined>
  /** The job that holds this service or instance address. */
  byAddress (address: string): Promise<Job | undefined>
  list (query: JobQuery): Promise<Job[]>
  /** Jobs that are not UNDEPLOYED, each as its document in JSON (contract section 7). */
  documents: JobStore['documents']
  /** The events of a job, oldest first. */
  history (ref: string, query: { after?: number, limit: number }): Promise<JobEvent[]>
}

export function createJobFinder (jobs: JobStore): JobFinder {
  const find: JobFinder['find'] = async ref => {
    if (isHexId(ref)) return await jobs.get(ref) ?? fail(notFound(ref))
    if (!NAME.test(ref)) {
      throw new ApiError('job_ref_malformed', `${JSON.stringify(ref)} is neither a job id nor a job name`, {
        hint: 'An id has 24 hexadecimal digits, a name is app_name.app_ns.service_name.service_ns'
      })
    }
    const exact = await jobs.byName(ref)
    if (exact) return exact
    const [found, second] = await jobs.byUnderscoredName(underscored(ref))
    if (!found) throw notFound(ref)
    if (second && second.desired_state === found.desired_state && second.job_name !== found.job_name) {
      throw new ApiError(
        'job_name_ambiguous',
        `${JSON.stringify(ref)} can mean ${found.job_name} and ${second.job_name}`,
        { hint: 'Give the id, or the name with its dots' }
      )
    }
    return found
  }

  return {
    find,

    async findWhole (ref) {
      const job = await find(ref)
      if (job.revisions.every(({ descriptor }) => descriptor)) return job
      const old = await jobs.oldDescriptors(job.id)
      const whole = ({ generation, descriptor }: Revision) => descriptor ?? old.get(generation) ?? null
      return { ...job, revisions: job.revisions.map(each => ({ ...each, descriptor: whole(each) })) }
    },

    async status (ref) {
      // A poll by id, the common case, reads no document.
      const known = isHexId(ref) ? await jobs.status(ref) : undefined
      return known ?? (await find(ref)).status
    },

    async byNameForClusters (name) {
      return await jobs.byName(name) ?? (await jobs.byUnderscoredName(underscored(name)))[0]
    },

    byAddress: address => jobs.byAddress(address),

    list: query => jobs.list(query),

    documents: query => jobs.documents(query),

    async history (ref, query) {
      const { id } = await find(ref)
      return await jobs.events(id, query)
    }
  }
}

function notFound (ref: string): ApiError {
  return new ApiError('job_not_found', `There is no job ${ref}`, { hint: 'GET /api/v1/jobs lists them' })
}

function fail (error: Error): never {
  throw error
}
