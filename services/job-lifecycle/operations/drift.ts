import type { FastifyBaseLogger } from 'fastify'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import type { JobId } from '../../../schemas/job.js'
import { STOPS, WAY_UP, type Status } from '../../../schemas/status.js'
import type { ClusterStore, JobStore } from '../../../stores/store.js'
import type { Committer } from '../commit.js'
import { lingering, missing } from '../state-machine/decisions/drift.js'

/** Holds what clusters report against what they are to run. */
export interface DriftDetection {
  /**
   * Compares, unless this cluster was compared a short while ago: nobody waits for it, and most heartbeats cost nothing
   * more than this call.
   */
  checkSoon (clusterId: ClusterId, told: ReadonlyMap<JobId, Status>): void
  /** Resolves when no comparison is under way. */
  idle (): Promise<void>
}

/** What was seen of a cluster at the last comparison. */
interface Seen {
  at: number
  /** Jobs it should have told of and did not, and jobs it should not have. */
  missing: ReadonlySet<JobId>
  unknown: Cluster['unknown_jobs'] | undefined
}

/** Most unknown jobs that are shown of a cluster. */
const MAX_UNKNOWN = 100

/** A cluster that has begun with a job has to report it. */
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
  const seen = new Map<ClusterId, Seen>()
  const running = new Set<Promise<void>>()

  async function check (
    clusterId: ClusterId,
    told: ReadonlyMap<JobId, Status>,
    before: Seen | undefined,
    now: Seen
  ): Promise<void> {
    const placed = new Map((await jobs.instancesOn(clusterId)).map(({ job_id: jobId, status }) => [jobId, status]))

    // Seen once, it may have crossed a command on its way; twice, it is so.
    const lacking = [...placed].filter(([jobId, status]) => !told.has(jobId) && REPORTED.includes(status)).map((
      [jobId]
    ) => jobId)
    now.missing = new Set(lacking)
    for (const jobId of lacking) {
      if (before?.missing.has(jobId)) await committer.changeOneOfMany(jobId, job => missing(job, clusterId))
    }

    const strangers = [...told.keys()].filter(jobId => !placed.has(jobId)).slice(0, MAX_UNKNOWN)
    const known = new Map((await jobs.getMany(strangers)).map(job => [job.id, job]))
    const unknown = strangers
      .filter(jobId => !known.get(jobId)?.retiring.some(entry => entry.cluster_id === clusterId))
      .map(jobId => ({ job_id: jobId, status: told.get(jobId)! }))
    const shown = before?.unknown ?? (await clusters.get(clusterId))?.unknown_jobs ?? []
    if (JSON.stringify(shown) !== JSON.stringify(unknown)) {
      await clusters.update(clusterId, { unknown_jobs: unknown })
      if (unknown.length > 0) {
        log.warn({ cluster_id: clusterId, jobs: unknown }, 'a cluster reports jobs that it was not asked to run')
      }
    }
    now.unknown = unknown
    for (const { job_id: jobId, status } of unknown) {
      const twice = before?.unknown?.some(entry => entry.job_id === jobId)
      if (twice && status !== 'UNDEPLOYED' && known.has(jobId)) {
        await committer.changeOneOfMany(jobId, job => lingering(job, clusterId))
      }
    }
  }

  return {
    checkSoon (clusterId, told) {
      const before = seen.get(clusterId)
      const at = performance.now()
      if (before && at - before.at < intervalMs) return
      const now: Seen = { at, missing: new Set(), unknown: before?.unknown }
      seen.set(clusterId, now)
      const work = check(clusterId, told, before, now)
        .catch(err => {
          seen.delete(clusterId)
          log.error({ err, cluster_id: clusterId }, 'what a cluster reports could not be compared, it is tried again')
        })
        .finally(() => running.delete(work))
      running.add(work)
    },

    async idle () {
      await Promise.all(running)
    }
  }
}
