import type { Status } from '../../../schemas/status.js'
import type { Command } from '../../../schemas/channel.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import type { Instance, Job } from '../../../schemas/job.js'
import type { JobChange } from '../../../stores/store.js'
import { acknowledged } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { created, updated as updatedIn } from '../../../services/job-lifecycle/state-machine/decisions/deploy.js'
import { moved, type MoveOptions } from '../../../services/job-lifecycle/state-machine/decisions/move.js'
import { placed } from '../../../services/job-lifecycle/state-machine/decisions/placement.js'
import * as clusterReports from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import type { Policy } from '../../../services/job-lifecycle/state-machine/policy.js'

/** The deadlines of the default settings. */
export const POLICY: Policy = {
  scheduledMs: 120_000,
  startingMs: 600_000,
  stoppedMs: 120_000,
  maxAttempts: 5,
  moveMs: 300_000,
  rolloutMs: 600_000,
  addressHoldMs: Infinity
}

export const HPI = 'aaaaaaaaaaaaaaaaaaaaaaaa'
export const TUM = 'bbbbbbbbbbbbbbbbbbbbbbbb'
export const ETH = 'cccccccccccccccccccccccc'

export function sampleDescriptor (more: Partial<Descriptor> = {}): Descriptor {
  return {
    api_version: 'v0.1',
    app_name: 'demo',
    app_ns: 'default',
    service_name: 'service1',
    service_ns: 'test',
    image: 'nginx:alpine',
    image_runtime: 'docker',
    ...more
  }
}

/** What the store does with a change, as far as the next decision sees it: addresses and the revision. */
export function stored (change: JobChange | undefined): Job {
  if (!change) throw new Error('there is no change to store')
  const { job } = change
  let next = 1
  const address = (given: string) => given || `172.30.0.${next++}`
  return {
    ...job,
    revision: job.revision + 1,
    service_ip_list: job.service_ip_list.map(entry => ({ ...entry, Address: address(entry.Address) })),
    instance_list: job.instance_list.map(instance => ({ ...instance, instance_ip: address(instance.instance_ip) }))
  }
}

/** An update by the user. All instances may stay where they are, unless `mayStay` says otherwise. */
export function updated (job: Job, more: Partial<Descriptor>, mayStay: (id: ClusterId) => boolean = () => true, at?: Date): JobChange | undefined {
  return updatedIn(job, sampleDescriptor(more), { policy: POLICY, cause: 'user', mayStay }, at)
}

/** Commands as "deploy <cluster>" or "replicate <cluster> <number>". */
export const commands = (change: JobChange | undefined): string[] =>
  change?.commands.map(({ kind, cluster_id, replicas }) => [kind, cluster_id, replicas].filter(part => part !== undefined).join(' ')) ?? []

/** A command of a change as the cluster got it. */
export const sent = (change: JobChange | undefined, index = 0): Command => ({ seq: 1, ...change!.commands[index]! })

const NAMES = new Map([[HPI, 'hpi'], [TUM, 'tum'], [ETH, 'eth']])

/** All events, as "<type> <instance> @<cluster> <from>><to>: <message>", with what each of them has. */
export const events = (change: JobChange | undefined): string[] => change?.events.map(({ type, instance_number: number, cluster_id: clusterId, from, to, message }) => {
  const about = [type, number, clusterId === undefined ? undefined : `@${NAMES.get(clusterId) ?? clusterId}`, from && `${from}>${to}`]
  const named = [...NAMES].reduce((text, [id, name]) => text.replaceAll(id, name), message)
  return `${about.filter(part => part !== undefined).join(' ')}: ${named}`
}) ?? []

/** These fields of all instances. */
export const fields = (job: Job | undefined, ...keys: Array<keyof Instance>): unknown[][] => job?.instance_list.map(entry => keys.map(key => entry[key])) ?? []

export const eventTypes = (change: JobChange | undefined): string[] => change?.events.map(({ type }) => type) ?? []

/** Entries as "<number> <cluster> <status>", with the source of a move. */
export const entries = (job: Job | undefined): string[] =>
  job?.instance_list.map(({ instance_number, cluster_id, status, move }) => `${instance_number} ${cluster_id || '-'} ${status}${move ? ` from ${move.from}` : ''}`) ?? []

export const minutesAfter = (time: string, minutes: number): Date => new Date(Date.parse(time) + minutes * 60_000)

/** The scheduler has its instances placed. */
export function placedOn (
  job: Job,
  clusterIds: Record<number, ClusterId>,
  at?: Date,
  original = false
): JobChange | undefined {
  return placed(
    job,
    {
      kind: 'placed',
      assignments: Object.entries(clusterIds).map(([number, cluster_id]) => ({
        instance_number: Number(number),
        cluster_id,
        original,
        offered: null
      })),
      explanation: { decided_at: job.created_at, outcome: 'placed', summary: 'placed', clusters: [], omitted: 0 }
    },
    'scheduler',
    at
  )
}

/** What becomes of a job when its clusters take the commands of a change and then report RUNNING. */
export function carriedOut (change: JobChange | undefined, at?: Date): Job {
  let job = stored(change)
  for (const { cluster_id: clusterId, command_id: commandId } of change!.commands) {
    const taken = acknowledged(job, clusterId, commandId, at)
    if (taken) job = stored(taken)
  }
  for (const { cluster_id: clusterId } of change!.commands) {
    const told = reported(job, clusterId, 'RUNNING', at)
    if (told) job = stored(told)
  }
  return job
}

/** A cluster says this of a job as a whole. */
export const reported = (job: Job, clusterId: ClusterId, status: Status, at?: Date) =>
  clusterReports.reported(job, clusterId, { status }, at)

/** A job whose instances run on these clusters, in order. */
export function runningJob (clusterIds: ClusterId[], more: Partial<Descriptor> = {}): Job {
  return [...new Set(clusterIds)].reduce((job, id) => stored(reported(job, id, 'RUNNING')), placedJob(clusterIds, more))
}

/** A move that the user asks for. */
export function movedTo (job: Job, from: ClusterId, options: Partial<MoveOptions> = {}, at?: Date): JobChange | undefined {
  return moved(job, { from: new Set([from]), location: 'tum', why: 'asked', order: 'start-first', ...options }, 'user', at)
}

/** A job whose instances are on these clusters, in order. */
export function placedJob (clusterIds: string[], more: Partial<Descriptor> = {}): Job {
  const job = stored(created(sampleDescriptor({ replicas: clusterIds.length, ...more }), 'user'))
  return stored(
    placed(
      job,
      {
        kind: 'placed',
        assignments: clusterIds.map((cluster_id, instance_number) => ({
          instance_number,
          cluster_id,
          original: false,
          offered: null
        })),
        explanation: { decided_at: job.created_at, outcome: 'placed', summary: 'placed', clusters: [], omitted: 0 }
      },
      'scheduler'
    )
  )
}
