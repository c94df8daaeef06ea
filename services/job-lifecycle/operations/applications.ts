import { MAX_LISTED_SERVICES, type Application, type ApplicationService } from '../../../schemas/application.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'
import type { Job, JobId } from '../../../schemas/job.js'
import type { Requester } from '../../../plugins/requester.js'
import type { JobStore } from '../../../stores/store.js'
import { worst } from '../state-machine/transitions.js'
import type { JobOperations } from './jobs.js'

/**
 * Applications: all services with the same app_name and app_ns. A `ref` is these two, joined by a dot. A `ref` of any
 * other form: `application_ref_malformed`. An application without services: `application_not_found`.
 */
export interface Applications {
  get (ref: string): Promise<Application>
  /**
   * Deploys services of one application, all or none (see {@link JobOperations.deploy}). Its other services stay as
   * they are. Descriptors of several applications: `descriptor_invalid`. `isNew`: it had no services before.
   */
  deploy (
    descriptors: readonly Descriptor[],
    by: Requester
  ): Promise<{ application: Application, isNew: boolean }>
  /** Commands the clusters to remove all of its services. They are UNDEPLOYED once the clusters have confirmed. */
  undeploy (ref: string, by: Requester, options?: { force?: boolean }): Promise<Application>
}

/** Jobs read at a time. */
const PAGE = 256

const NAME = /^([\w-]{1,63})\.([\w-]{1,63})$/

export function createApplications (
  jobs: JobStore,
  operations: Pick<JobOperations, 'deploy' | 'undeploy'>
): Applications {
  /**
   * Summarises an application, page by page.
   * @param look Called with each page of jobs that are not UNDEPLOYED. Returns the jobs to summarise in their place.
   */
  async function survey (
    ref: string,
    look: (page: Job[]) => Promise<Job[]> = async page => page
  ): Promise<Application> {
    const [, appName, appNs] = NAME.exec(ref) ?? []
    if (appName === undefined || appNs === undefined) {
      throw new ApiError('application_ref_malformed', `"${ref}" is not the name of an application`, {
        hint: 'A name is app_name.app_ns'
      })
    }
    const services: ApplicationService[] = []
    let after: JobId | undefined
    do {
      const page = await jobs.list({
        app_name: appName,
        app_ns: appNs,
        undeployed: false,
        limit: PAGE,
        ...(after !== undefined && { after })
      })
      services.push(...(await look(page)).map(toService))
      after = page.length === PAGE ? page.at(-1)?.id : undefined
    } while (after !== undefined)
    if (services.length === 0) {
      throw new ApiError('application_not_found', `There is no application ${ref}`, {
        hint: 'GET /api/v1/jobs lists all services'
      })
    }
    return toApplication(appName, appNs, services)
  }

  return {
    get: ref => survey(ref),

    async deploy (descriptors, by) {
      const [name, ...others] = new Set(
        descriptors.map(({ app_name: appName, app_ns: appNs }) => `${appName}.${appNs}`)
      )
      if (name === undefined || others.length > 0) {
        throw new ApiError(
          'descriptor_invalid',
          `expected services of one application, got those of ${[name, ...others].join(', ')}`,
          { hint: 'Send one request per application, or send all services to POST /api/deploy' }
        )
      }
      const deployed = await operations.deploy(descriptors, by)
      const application = await survey(name)
      return {
        application,
        isNew: application.service_count === deployed.length && deployed.every(({ outcome }) => outcome === 'created')
      }
    },

    undeploy: (ref, by, options) =>
      survey(ref, page => Promise.all(page.map(({ id }) => operations.undeploy(id, by, options))))
  }
}

function toService (
  { id, job_name, descriptor: { service_name, service_ns }, desired_state, status, status_reason, replicas }: Job
): ApplicationService {
  return {
    job_id: id,
    job_name,
    service_name,
    service_ns,
    desired_state,
    status,
    status_reason,
    replicas,
    href: `/api/v1/jobs/${id}`
  }
}

/** @param services At least one. */
function toApplication (appName: string, appNs: string, services: ApplicationService[]): Application {
  const running = services.filter(service => service.desired_state === 'running')
  const removing = services.filter(service => service.status !== 'UNDEPLOYED')
  // Services that are being removed do not affect the status of those that should run.
  const decisive = worst([running, removing, services].find(group => group.length > 0)!)!
  const counts: Application['status_counts'] = {}
  for (const { status } of services) counts[status] = (counts[status] ?? 0) + 1
  return {
    name: `${appName}.${appNs}`,
    app_name: appName,
    app_ns: appNs,
    desired_state: running.length > 0 ? 'running' : 'undeployed',
    status: decisive.status,
    status_reason: decisive.status_reason && `${decisive.job_name}: ${decisive.status_reason}`,
    service_count: services.length,
    status_counts: counts,
    services: services.slice(0, MAX_LISTED_SERVICES),
    omitted: Math.max(0, services.length - MAX_LISTED_SERVICES)
  }
}
