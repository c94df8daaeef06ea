import type { FastifyBaseLogger } from 'fastify'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { isOriginal } from '../../../schemas/cluster-facts.js'
import type { JobId } from '../../../schemas/job.js'
import { STOPS, WAY_UP, type Status } from '../../../schemas/status.js'
import type { ClusterStore, JobStore } from '../../../stores/store.js'
import { wordOn, type Word } from '../../../schemas/words.js'
import type { Committer } from '../commit.js'
import { forgotten } from '../state-machine/decisions/cluster-loss.js'
import { lingering, missing, strayed } from '../state-machine/decisions/drift.js'

/** Compares what clusters report with what they should run. */
export interface DriftDetection {
  /**
   * Compares in the background, unless this cluster was checked less than the interval ago: most heartbeats cost only
   * this call.
   * @param told What the cluster said of each job.
   */
  checkSoon (clusterId: ClusterId, told: ReadonlyMap<JobId, Word>): void
  /** Resolves when no comparison is under way. */
  idle (): Promise<void>
}

/** The result of the last check of a cluster. */
interface Seen {
  /** Jobs that it has removed and goes on reporting, with what it says: an original cluster never forgets. */
  removed: ReadonlyMap<JobId, Status>
  /** When it was checked, milliseconds of the monotonic clock. */
  at: number
  /** Jobs that it should have reported and did not. */
  missing: ReadonlySet<JobId>
  /** Jobs that it reported and should not run. */
  unknown: Cluster['unknown_jobs'] | undefined
}

/** Milliseconds without a report after which the last check of a cluster is dropped. */
const FORGET_MS = 600_000

/** Most unknown jobs shown per cluster. */
const MAX_UNKNOWN = 100

/** Most jobs looked up per check. */
const MAX_STRANGERS = 1000

/** Statuses of a job that its cluster has to report: the cluster has begun with it. */
const REPORTED: readonly Status[] = [
  ...WAY_UP.slice(WAY_UP.indexOf('NODE_SCHEDULED')),
  ...STOPS.filter(status => status !== 'COMPLETED')
]

export function createDriftDetection ({ jobs, clusters, committer, intervalMs, log }: {
  jobs: JobStore
  clusters: ClusterStore
  committer: Committer
  intervalMs: number
  log: FastifyBaseLogger
}): DriftDetection {
  /** In order of the last check, oldest first. */
  const seen = new Map<ClusterId, Seen>()
  const forgetMs = Math.max(FORGET_MS, 10 * intervalMs)
  const running = new Set<Promise<void>>()

  async function check (
    clusterId: ClusterId,
    told: ReadonlyMap<JobId, Word>,
    before: Seen | undefined,
    now: Seen
  ): Promise<void> {
    const instances = await jobs.instancesOn(clusterId)
    const placed = new Set(instances.map(({ job_id: jobId }) => jobId))

    // Seen once, the report may have crossed a command on its way. Seen twice, it is drift.
    const isLacking = (jobId: JobId, number: number) => {
      const word = told.get(jobId)
      return !word || !wordOn(word, number)
    }
    now.missing = new Set(
      instances.filter(({ job_id: jobId, instance_number: number, status }) =>
        REPORTED.includes(status) && isLacking(jobId, number)
      ).map(({ job_id: jobId }) => jobId)
    )
    await committer.changeEach(
      [...now.missing].filter(jobId => before?.missing.has(jobId)),
      job => missing(job, clusterId, number => isLacking(job.id, number))
    )

    const strangers = [...told].filter(([jobId, { status }]) =>
      !placed.has(jobId) && before?.removed.get(jobId) !== status
    ).map(([jobId]) => jobId).slice(0, MAX_STRANGERS)
    const known = new Map((await jobs.getMany(strangers)).map(job => [job.id, job]))
    const cluster = strangers.length > 0 ? await clusters.get(clusterId) : undefined
    const mayNeverForget = cluster !== undefined && isOriginal(cluster)
    const isHere = ({ cluster_id: id }: { cluster_id: ClusterId }) => id === clusterId
    const leaving = strangers.filter(jobId => known.get(jobId)?.retiring.some(isHere))
    const removed = strangers.filter(jobId => {
      const job = known.get(jobId)
      return mayNeverForget && job && (job.desired_state === 'undeployed' || job.removals.some(isHere))
    })
    const still = [...before?.removed ?? []].filter(([jobId, status]) => told.get(jobId)?.status === status)
    now.removed = new Map([...still, ...removed.map((id): [JobId, Status] => [id, told.get(id)!.status])])
    if (mayNeverForget) {
      const all = new Set([...leaving, ...removed])
      await committer.changeEach(all, job => strayed(job, clusterId, told.get(job.id)!.status))
    }

    const unknown = strangers.filter(jobId => !leaving.includes(jobId) && !removed.includes(jobId))
      .slice(0, MAX_UNKNOWN).map(jobId => ({ job_id: jobId, status: told.get(jobId)!.status }))
    const shown = before?.unknown ?? (await clusters.get(clusterId))?.unknown_jobs ?? []
    if (JSON.stringify(shown) !== JSON.stringify(unknown)) {
      await clusters.update(clusterId, { unknown_jobs: unknown })
      if (unknown.length > 0) {
        log.warn({ cluster_id: clusterId, jobs: unknown }, 'a cluster reports jobs that it was not asked to run')
      }
    }
    now.unknown = unknown
    // What it removed it reports for ever, and a delete would remove what has the same name now (contract section 10).
    if (!cluster || mayNeverForget) return
    const lingers = unknown.filter(({ job_id: jobId, status }) =>
      status !== 'UNDEPLOYED' && known.has(jobId) && before?.unknown?.some(entry => entry.job_id === jobId)
    )
    const ids = lingers.map(({ job_id: jobId }) => jobId)
    // Deleted meanwhile, it would confirm nothing.
    await committer.changeEach(ids, async job => await clusters.get(clusterId) && lingering(job, clusterId))
    if (ids.length > 0 && !await clusters.get(clusterId)) {
      await committer.changeEach(ids, job => forgotten(job, clusterId, 'system'))
    }
  }

  /** Drops clusters that have not reported for a long time: they were deleted, or report to another process. */
  function prune (now: number): void {
    for (const [clusterId, { at }] of seen) {
      if (now - at < forgetMs) return
      seen.delete(clusterId)
    }
  }

  return {
    checkSoon (clusterId, told) {
      const before = seen.get(clusterId)
      const at = performance.now()
      if (before && at - before.at < intervalMs) return
      const now: Seen = { at, missing: new Set(), unknown: before?.unknown, removed: before?.removed ?? new Map() }
      seen.delete(clusterId)
      seen.set(clusterId, now)
      prune(at)
      const work = check(clusterId, told, before, now)
        .catch(err => {
          seen.delete(clusterId)
          log.error({ err, cluster_id: clusterId }, 'a drift check failed, it is tried again')
        })
        .finally(() => running.delete(work))
      running.add(work)
    },

    async idle () {
      await Promise.all(running)
    }
  }
}
