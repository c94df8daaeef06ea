import type { Command } from '../../../schemas/channel.js'
import type { ClusterId, Heartbeat } from '../../../schemas/cluster.js'
import { ApiError } from '../../../schemas/errors.js'
import type { DeployResult, Job, JobId } from '../../../schemas/job.js'
import type { JobStore } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import type { Committer } from '../commit.js'
import { acknowledged, refused } from '../state-machine/decisions/command-replies.js'
import { delivery } from '../state-machine/decisions/delivery.js'
import { detailed, changesStatus, reported } from '../state-machine/decisions/cluster-reports.js'
import type { DriftDetection } from './drift.js'

/** Messages from clusters about their jobs (contract sections 2 and 5). */
export interface ClusterReports {
  /**
   * A heartbeat: its figures go to the registry, its statuses to the jobs.
   * @returns What could not be understood, one sentence each.
   */
  heartbeat (clusterId: ClusterId, body: Heartbeat): Promise<{ warnings: string[] }>
  /**
   * Where a cluster runs the instances of a job. Unknown job: `job_not_found`.
   * @param clusterId The sender. Known on the channel, not over HTTP.
   */
  result (body: DeployResult, clusterId?: ClusterId): Promise<void>
  /** A cluster acknowledged these commands. Idempotent. Call it before the commands are settled in the outbox. */
  acknowledged (clusterId: ClusterId, commands: Command[]): Promise<void>
  /** A cluster refused a command. Idempotent. Call it before the command is settled in the outbox. */
  refused (clusterId: ClusterId, command: Command, error: string): Promise<void>
  /**
   * Shows on these jobs why their commands are still pending on a cluster. Idempotent.
   * @param reason One sentence; null once the cluster was reached.
   */
  delivery (clusterId: ClusterId, jobIds: JobId[], reason: string | null): Promise<void>
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
  const { commit, change, changeEach } = committer

  return {
    async heartbeat (clusterId, body) {
      const { reports, warnings } = await registry.heartbeat(clusterId, body)
      const told = new Map(reports.map(({ system_job_id, status }) => [system_job_id, status]))
      // A heartbeat without `jobs` does not mean that the cluster runs none.
      if (Array.isArray(body.jobs)) drift.checkSoon(clusterId, told)
      if (told.size === 0) return { warnings }
      // Reads and writes only the jobs that the heartbeat changes.
      const affected = new Set<JobId>()
      for (const { job_id, status } of await jobs.contradicted(clusterId, told)) {
        if (changesStatus(status, told.get(job_id)!)) affected.add(job_id)
      }
      if (affected.size === 0) return { warnings }
      const decide = (job: Job) => reported(job, clusterId, told.get(job.id)!)
      const decisions = committer.decideEach(await jobs.getMany([...affected]), decide)
      const outcomes = await commit(decisions)
      const stale = decisions.filter((_, index) => outcomes[index]?.outcome !== 'saved')
      await changeEach(stale.map(({ job }) => job.id), decide)
      return { warnings }
    },

    async result (body, clusterId) {
      if (!await change(body.job_id, job => detailed(job, body, clusterId))) {
        throw new ApiError('job_not_found', `No job has the id ${body.job_id}`)
      }
    },

    async acknowledged (clusterId, commands) {
      // A decision that fails must not keep the later commands of the cluster in the outbox for ever.
      for (const { job_id, command_id } of commands) {
        await changeEach([job_id], job => acknowledged(job, clusterId, command_id))
      }
    },

    async refused (clusterId, command, error) {
      await changeEach([command.job_id], job => refused(job, clusterId, command, error))
    },

    async delivery (clusterId, jobIds, reason) {
      await changeEach(new Set(jobIds), job => delivery(job, clusterId, reason))
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
