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

/** What clusters say. */
export interface ClusterReports {
  /**
   * A heartbeat: figures to the registry, the clusters' word on their jobs to the jobs. Gives what was not understood.
   */
  heartbeat (clusterId: ClusterId, body: Heartbeat): Promise<{ warnings: string[] }>
  /** Where a cluster runs the instances of a job. `clusterId` is known on the channel, not over HTTP. */
  result (body: DeployResult, clusterId?: ClusterId): Promise<void>
  /** A cluster durably took these commands. Idempotent; to be called before they are settled in the outbox. */
  acknowledged (clusterId: ClusterId, commands: Command[]): Promise<void>
  /** A cluster refused a command. Idempotent; to be called before it is settled in the outbox. */
  refused (clusterId: ClusterId, command: Command, error: string): Promise<void>
  /**
   * Why commands about these jobs have not come to an end on a cluster, for people to see; null when that is over.
   * Repeating it changes nothing.
   */
  delivery (clusterId: ClusterId, jobIds: JobId[], reason: string | null): Promise<void>
  /**
   * All live jobs with an instance on this cluster: what it should be running. Undefined when the stored document of
   * one of them cannot be understood: the cluster would remove what it does not find in the list.
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
      // A heartbeat that says nothing of jobs does not say that there are none.
      if (Array.isArray(body.jobs)) drift.checkSoon(clusterId, told)
      if (told.size === 0) return { warnings }
      // Only jobs for which the heartbeat is news are read and written.
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
      // What cannot be decided must not keep the later commands of the cluster in the outbox for ever.
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
      // Those that can be understood were placed there meanwhile, and come as commands.
      if ((await jobs.getMany(others)).length < others.length) return undefined
      return held.filter(job => job.instance_list.some(instance => instance.cluster_id === clusterId))
    }
  }
}
