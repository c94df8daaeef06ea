import type { Command } from '../../../schemas/channel.js'
import { HEARTBEAT_BYTES, type ClusterId, type Heartbeat } from '../../../schemas/cluster.js'
import { ApiError } from '../../../schemas/errors.js'
import type { DeployResult } from '../../../schemas/deploy-result.js'
import type { Job, JobId } from '../../../schemas/job.js'
import { hasBegun } from '../../../schemas/job-facts.js'
import type { JobChange, JobStore } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import { uniform, wordOn, type Word } from '../../../schemas/words.js'
import type { Committer } from '../commit.js'
import { acknowledged, refused, sending } from '../state-machine/decisions/command-replies.js'
import { delivery } from '../state-machine/decisions/delivery.js'
import { detailed, changesStatus, reported } from '../state-machine/decisions/cluster-reports.js'
import type { DriftDetection } from './drift.js'

/** What a cluster says of its jobs (contract sections 2 and 5). */
export type Report =
  /** A heartbeat: its figures go to the registry, its statuses to the jobs. */
  | { heartbeat: Heartbeat }
  /** Where it runs the instances of a job. */
  | { result: DeployResult }
  /** It acknowledged these commands. Idempotent. */
  | { acknowledged: Command[] }

/**
 * What became of a report; `warnings` say what of it could not be understood, one sentence each. With an `error`, of
 * what was acknowledged `open` are the commands that still wait.
 */
export type ReportOutcome = { warnings: string[] } | { error: unknown, open: Command[] }

/** What a heartbeat says of each job. */
type Words = ReadonlyMap<JobId, Word>

/** Messages from clusters about their jobs. */
export interface ClusterReports {
  /**
   * Takes what one cluster said at about the same time, in this order: each job is read and written once. To be called
   * before commands are settled in the outbox. Rejects when the store cannot be asked.
   * @returns An outcome for each report.
   */
  take (clusterId: ClusterId, reports: Report[]): Promise<ReportOutcome[]>
  /** Bytes that a heartbeat of this cluster may have: what it may say depends on what is placed there. */
  mostBytes (clusterId: ClusterId): Promise<number>
  /** {@link ClusterReports.take} for one heartbeat. */
  heartbeat (clusterId: ClusterId, body: Heartbeat): Promise<{ warnings: string[] }>
  /** Where a cluster runs the instances of a job, of a sender who is not known. Unknown job: `job_not_found`. */
  result (body: DeployResult): Promise<void>
  /** A command is about to be called at an original cluster that has removed its job before. Idempotent. */
  sending (clusterId: ClusterId, command: Command): Promise<void>
  /** A cluster refused a command. Idempotent. Call it before the command is settled in the outbox. */
  refused (clusterId: ClusterId, command: Command, error: string): Promise<void>
  /**
   * Shows on these jobs why their commands are still pending on a cluster. Idempotent.
   * @param reason One sentence; null once the cluster was reached.
   */
  delivery (clusterId: ClusterId, jobIds: JobId[], reason: string | null): Promise<void>
  /** Whether the cluster never began with what this command is to remove, as far as it has said. */
  isNothingToRemove (clusterId: ClusterId, command: Command): Promise<boolean>
  /**
   * Whether a delete must not be called at an original cluster (any more): the cluster has removed the job, which is
   * final, or another job of the same name is placed there, which it would remove, whichever id the command names
   * (contract section 10).
   */
  isRemovalOver (clusterId: ClusterId, command: Command): Promise<boolean>
  /**
   * The desired state of a cluster: all live jobs with an instance on it. Undefined when the document of one of them
   * cannot be read: the cluster would remove every job that the list lacks.
   */
  desiredOn (clusterId: ClusterId): Promise<Job[] | undefined>
}

export function createClusterReports ({ jobs, registry, committer, drift }: {
  jobs: JobStore
  registry: ClusterRegistry
  committer: Committer
  drift: DriftDetection
}): ClusterReports {
  const { changeEach, changeMany } = committer

  async function take (clusterId: ClusterId, reports: Report[]): Promise<ReportOutcome[]> {
    const outcomes: ReportOutcome[] = reports.map(() => ({ warnings: [] }))
    const told = new Map<Report, Words>()
    // Reads and writes only the jobs that the reports change.
    const affected = new Set<JobId>()
    let unheard: { error: unknown } | undefined
    for (const [index, report] of reports.entries()) {
      if ('result' in report) affected.add(report.result.job_id)
      else if ('acknowledged' in report) for (const { job_id: id } of report.acknowledged) affected.add(id)
      else {
        const heartbeat = unheard ??
          await takeHeartbeat(clusterId, report.heartbeat).catch((error: unknown) => ({ error }))
        if ('error' in heartbeat) {
          // Should the database be at fault, each further one would wait for it; the cluster sends the next one soon.
          unheard = heartbeat
          outcomes[index] = { ...heartbeat, open: [] }
          continue
        }
        const { words, warnings } = heartbeat
        outcomes[index] = { warnings }
        told.set(report, words)
        const statuses = new Map([...words].map(([id, word]) => [id, uniform(word)]))
        for (const instance of statuses.size === 0 ? [] : await jobs.contradicted(clusterId, statuses)) {
          const word = wordOn(words.get(instance.job_id)!, instance.instance_number)
          if (word && changesStatus(instance.status, word.status)) affected.add(instance.job_id)
        }
      }
    }
    if (affected.size === 0) return outcomes

    const failed = await changeMany(decisionsOn(affected, clusterId, reports, told))
    for (const [index, report] of reports.entries()) {
      const error = jobsOf(report, told).map(id => failed.get(id)).find(err => concerns(report, err))
      if (error === undefined) continue
      const commands = 'acknowledged' in report ? report.acknowledged : []
      outcomes[index] = { error, open: commands.filter(({ job_id: id }) => concerns(report, failed.get(id))) }
    }
    return outcomes
  }

  async function takeHeartbeat (
    clusterId: ClusterId,
    body: Heartbeat
  ): Promise<{ words: Words, warnings: string[] }> {
    const { words, warnings } = await registry.heartbeat(clusterId, body)
    // A heartbeat without `jobs` does not mean that the cluster runs none.
    if (Array.isArray(body.jobs)) drift.checkSoon(clusterId, words)
    return { words, warnings }
  }

  return {
    take,

    async heartbeat (clusterId, body) {
      const [outcome] = await take(clusterId, [{ heartbeat: body }])
      if (outcome && 'error' in outcome) throw outcome.error
      return outcome!
    },

    async result (body) {
      if (!await committer.change(body.job_id, job => detailed(job, body))) {
        throw new ApiError('job_not_found', `No job has the id ${body.job_id}`)
      }
    },

    async sending (clusterId, { job_id: jobId, command_id: commandId }) {
      await changeEach([jobId], job => sending(job, clusterId, commandId))
    },

    async refused (clusterId, command, error) {
      await changeEach([command.job_id], job => refused(job, clusterId, command, error))
    },

    async delivery (clusterId, jobIds, reason) {
      await changeEach(new Set(jobIds), job => delivery(job, clusterId, reason))
    },

    async mostBytes (clusterId) {
      const { least, perInstance, most } = HEARTBEAT_BYTES
      return Math.min(most, least + perInstance * (await jobs.instancesOn(clusterId)).length)
    },

    async isNothingToRemove (clusterId, { job_id: jobId }) {
      const [job] = await jobs.getMany([jobId])
      return job !== undefined && ![...job.retiring, ...job.removals].some(entry =>
        entry.cluster_id === clusterId && hasBegun(entry.told)
      )
    },

    async isRemovalOver (clusterId, { job_id: jobId, command_id: commandId }) {
      const [job] = await jobs.getMany([jobId])
      if (!job) return false
      if (!job.retiring.some(entry => entry.command_id === commandId)) return true
      const named = await jobs.list({ job_name: job.job_name, cluster_id: clusterId })
      return named.some(({ id, instance_list: list }) =>
        id !== jobId && list.some(entry => entry.cluster_id === clusterId)
      )
    },

    async desiredOn (clusterId) {
      const held = await jobs.list({ cluster_id: clusterId, undeployed: false })
      const ids = new Set(held.map(({ id }) => id))
      const placed = new Set((await jobs.instancesOn(clusterId)).map(({ job_id: id }) => id))
      const others = [...placed].filter(id => !ids.has(id))
      // Those that can be read were placed there meanwhile and follow as commands.
      if ((await jobs.getMany(others)).length < others.length) return undefined
      return held.filter(job => job.instance_list.some(instance => instance.cluster_id === clusterId))
    }
  }
}

function jobsOf (report: Report, told: ReadonlyMap<Report, Words>): JobId[] {
  if ('result' in report) return [report.result.job_id]
  if ('acknowledged' in report) return report.acknowledged.map(({ job_id: id }) => id)
  return [...told.get(report)?.keys() ?? []]
}

/**
 * Whether a failed decision on a job is told to who reported. An acknowledgement counts although nothing can be decided
 * on the job: later commands would wait for it for ever. But while the store fails it comes again.
 */
function concerns (report: Report, err: unknown): boolean {
  if (err === undefined) return false
  if ('result' in report) return true
  return err instanceof ApiError && ['store_unavailable', 'shutting_down', 'conflict'].includes(err.code)
}

/** For each of these jobs what the reports say of it, in their order. */
function decisionsOn (
  ids: ReadonlySet<JobId>,
  clusterId: ClusterId,
  reports: readonly Report[],
  told: ReadonlyMap<Report, Words>
): Map<JobId, Array<(job: Job) => JobChange | undefined>> {
  const decisions = new Map<JobId, Array<(job: Job) => JobChange | undefined>>([...ids].map(id => [id, []]))
  for (const report of reports) {
    if ('result' in report) {
      const { result } = report
      decisions.get(result.job_id)!.push(job => detailed(job, result, clusterId))
    } else if ('acknowledged' in report) {
      for (const { job_id: id, command_id: commandId } of report.acknowledged) {
        decisions.get(id)!.push(job => acknowledged(job, clusterId, commandId))
      }
    } else {
      for (const [id, word] of told.get(report) ?? []) {
        decisions.get(id)?.push(job => reported(job, clusterId, word))
      }
    }
  }
  return decisions
}
