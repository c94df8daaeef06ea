import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'
import type { Job } from '../../../schemas/job.js'
import type { Requester } from '../../../plugins/requester.js'
import type { JobChange, JobStore } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import type { Committer } from '../commit.js'
import { rolledBackTo, updated } from '../state-machine/decisions/deploy.js'
import { undeploying } from '../state-machine/decisions/undeploy.js'
import { moved, movedBetweenNodes } from '../state-machine/decisions/move.js'
import { scaled } from '../state-machine/decisions/scale.js'
import { createDeployer, type Deployer } from './deploy.js'
import type { JobFinder } from './find.js'
import type { Limits } from './limits.js'
import type { Policy } from '../state-machine/policy.js'

/**
 * Operations of users on jobs. For `ref` and its errors see {@link JobFinder}. Every change is durable when its promise
 * resolves.
 */
export interface JobOperations extends Deployer {
  /**
   * Commands the clusters to remove the job. It is UNDEPLOYED once they have confirmed. Repeating it changes nothing,
   * except that clusters which refused get the command again. With `force` it is UNDEPLOYED at once.
   */
  undeploy (ref: string, by: Requester, options?: { force?: boolean }): Promise<Job>
  /** Sets the number of instances. Errors: `limit_exceeded`; a job that is being removed: `job_not_running`. */
  scale (ref: string, replicas: number, by: Requester): Promise<Job>
  /**
   * Moves instances from the clusters at one place to those at another. If all of them are at the target already,
   * nothing changes. Unknown place: `cluster_not_found`. No such instance at `from`: `instance_not_found`. A job that
   * is being removed: `job_not_running`.
   */
  move (ref: string, request: MoveRequest, by: Requester): Promise<Job>
  /**
   * Commands a cluster to move its instances of the job from one worker node to another. Unknown place:
   * `cluster_not_found`. No instance there: `instance_not_found`. A worker that the cluster does not list:
   * `node_not_found`. A job that is being removed: `job_not_running`.
   */
  moveBetweenNodes (ref: string, request: NodeMoveRequest, by: Requester): Promise<Job>
  /**
   * Returns to the descriptor of an earlier generation, by default the previous one. A generation that is not kept:
   * `revision_not_found`. A job that is being removed: `job_not_running`.
   */
  rollBack (ref: string, generation: number | undefined, by: Requester): Promise<Job>
}

export interface MoveRequest {
  /** Location, name or id of a cluster. Undefined: wherever the instances are. */
  from?: string
  /** Location, name or id of a cluster. */
  to: string
  /** Undefined: all instances at `from`. */
  instanceNumber?: number
  order?: 'start-first' | 'stop-first'
}

export interface NodeMoveRequest {
  /** Location, name or id of a cluster. */
  cluster: string
  fromNode: string
  toNode: string
}

export function createJobOperations ({ jobs, registry, committer, finder, limits, policy }: {
  jobs: JobStore
  registry: ClusterRegistry
  committer: Committer
  finder: JobFinder
  limits: Limits
  policy: Policy
}): JobOperations {
  const { change } = committer

  /** Which clusters of a job its new descriptor still allows: the scheduler's rule, for this job's clusters only. */
  async function staying (job: Job, descriptor: Descriptor): Promise<(id: ClusterId) => boolean> {
    const place = descriptor.cluster_location
    if (place === undefined || place === job.descriptor.cluster_location) return () => true
    const ids = new Set(job.instance_list.map(entry => entry.cluster_id).filter(id => id !== ''))
    const clusters = await Promise.all([...ids].map(id => registry.get(id)))
    const allowed = new Set(clusters.filter(isAt(place)).map(({ id }) => id))
    return id => allowed.has(id)
  }

  async function updating (job: Job, descriptor: Descriptor, cause: string): Promise<JobChange | undefined> {
    return updated(job, descriptor, { policy, cause, mayStay: await staying(job, descriptor) })
  }

  /** Changes a job that should run. A job that is being removed: `job_not_running`. */
  async function changeLive (
    ref: string,
    by: Requester,
    decide: (job: Job) => JobChange | undefined | Promise<JobChange | undefined>
  ): Promise<Job> {
    const { id } = await finder.find(ref)
    const job = await change(id, job => {
      if (job.desired_state === 'running') return decide(job)
      throw new ApiError(
        'job_not_running',
        `${job.job_name} is ${job.status === 'UNDEPLOYED' ? 'undeployed' : 'being removed'}`,
        { hint: 'Deploy it again' }
      )
    }, by)
    return job ?? await finder.find(ref)
  }

  return {
    ...createDeployer({ jobs, committer, limits, updating }),

    async undeploy (ref, by, options) {
      const { id } = await finder.find(ref)
      return await change(id, job => undeploying(job, by.cause, options), by) ?? await finder.find(ref)
    },

    async scale (ref, replicas, by) {
      const scale = async () => {
        const larger = scaled(await finder.find(ref), replicas, by.cause)
        return await limits.within(larger ? [larger] : [], () =>
          changeLive(ref, by, job => scaled(job, replicas, by.cause))
        )
      }
      // Another request may have scaled it meanwhile.
      return await scale().catch((err: unknown) => {
        if (err instanceof ApiError && err.code === 'limit_exceeded') return scale()
        throw err
      })
    },

    async move (ref, { from, to, instanceNumber, order = 'start-first' }, by) {
      const targets = new Set((await registry.at(to)).map(({ id }) => id))
      const sources = from === undefined ? undefined : new Set((await registry.at(from)).map(({ id }) => id))
      return await changeLive(ref, by, job => {
        const meant = job.instance_list.filter(entry =>
          entry.cluster_id !== '' && entry.move === null &&
          (instanceNumber === undefined || entry.instance_number === instanceNumber)
        )
        const leaving = meant.filter(entry =>
          !targets.has(entry.cluster_id) && (!sources || sources.has(entry.cluster_id))
        )
        if (leaving.length > 0) {
          return moved(job, {
            from: new Set(leaving.map(entry => entry.cluster_id)),
            ...(instanceNumber !== undefined && { numbers: new Set([instanceNumber]) }),
            location: to,
            why: 'asked',
            order
          }, by.cause)
        }
        if (meant.length > 0 && meant.every(entry => targets.has(entry.cluster_id))) return undefined
        const which = instanceNumber === undefined ? 'no instance' : `no instance ${instanceNumber}`
        throw new ApiError(
          'instance_not_found',
          `${job.job_name} has ${which} on a cluster at ${from ?? 'any place'}`,
          { hint: 'GET /api/v1/jobs/:job shows where its instances are' }
        )
      })
    },

    async moveBetweenNodes (ref, { cluster, fromNode, toNode }, by) {
      const clusters = await registry.at(cluster)
      return await changeLive(ref, by, job => {
        const [there] = clusters.filter(({ id }) => job.instance_list.some(entry => entry.cluster_id === id))
        if (!there) {
          throw new ApiError('instance_not_found', `${job.job_name} has no instance on a cluster at ${cluster}`, {
            hint: 'GET /api/v1/jobs/:job shows where its instances are'
          })
        }
        for (const node of [fromNode, toNode]) {
          if (there.workers && !there.workers.some(({ name }) => name === node)) {
            throw new ApiError('node_not_found', `${there.cluster_name} has no worker node ${node}`, {
              hint: 'GET /api/v1/clusters/:cluster/nodes lists them'
            })
          }
        }
        return movedBetweenNodes(job, there.id, fromNode, toNode, by.cause)
      })
    },

    rollBack: (ref, generation, by) =>
      changeLive(ref, by, async job => {
        const revision = generation === undefined
          ? job.revisions[0]
          : job.revisions.find(kept => kept.generation === generation)
        const descriptor = revision?.descriptor ??
          (revision && (await jobs.oldDescriptors(job.id)).get(revision.generation))
        if (!descriptor) {
          throw new ApiError(
            'revision_not_found',
            generation === undefined
              ? `${job.job_name} has no earlier descriptor`
              : `Generation ${generation} of ${job.job_name} is not kept${revision ? ' so that it can be read' : ''}`,
            { hint: 'GET /api/v1/jobs/:job lists its revisions' }
          )
        }
        const mayStay = await staying(job, descriptor)
        return rolledBackTo(job, descriptor, { policy, cause: by.cause, mayStay })
      })
  }
}

const isAt = (place: string) => ({ cluster_name: name, cluster_location: location }: Cluster) =>
  name === place || location === place
