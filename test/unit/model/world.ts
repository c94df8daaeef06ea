import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import type { Job, JobId } from '../../../schemas/job.js'
import { jobWithPlainId } from '../../../schemas/job-document.js'
import { WAY_UP, type Status } from '../../../schemas/status.js'
import { acknowledged, refused } from '../../../services/job-lifecycle/state-machine/decisions/command-replies.js'
import { forgotten, lost, recovered } from '../../../services/job-lifecycle/state-machine/decisions/cluster-loss.js'
import { expireDeadlines } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import { placed, unplaceable, waiting } from '../../../services/job-lifecycle/state-machine/decisions/placement.js'
import { lingering, missing } from '../../../services/job-lifecycle/state-machine/decisions/drift.js'
import { detailed, reported } from '../../../services/job-lifecycle/state-machine/decisions/cluster-reports.js'
import type { Policy } from '../../../services/job-lifecycle/state-machine/policy.js'
import { createPass } from '../../../services/scheduler-client/embedded/placement-pass.js'
import type { JobChange } from '../../../stores/store.js'
import { candidate, idOf, PASS } from '../embedded-scheduler/sample.js'
import { ModelCluster } from './cluster.js'
import { checkAddresses, checkChange, checkCommands } from './invariants.js'
import { addressesOf, ModelStore } from './store.js'

export const POLICY: Policy = { scheduledMs: 120_000, startingMs: 600_000, stoppedMs: 120_000, maxAttempts: 4, moveMs: 300_000, rolloutMs: 600_000 }
const FAILOVER_MS = 120_000

/** A model cluster with what the System Manager knows of it. */
export interface Member {
  model: ModelCluster
  known: Cluster
  alive: boolean
  /** What its heartbeats told, the newest last. */
  told: Array<Map<JobId, Status>>
}

/** Where each cluster is. */
export const CLUSTERS: ReadonlyArray<[name: string, location: string]> = [['a', 'north'], ['b', 'north'], ['c', 'south'], ['d', 'south']]

/** Jobs, clusters and a clock; whatever is done to it, the invariants are checked. */
export class World {
  now = PASS.now
  readonly store = new ModelStore(POLICY)
  readonly members: Member[]
  /** Images whose containers fail. */
  failing = (image: string): boolean => image === 'broken'
  /** Of these a cluster refused or lost something, or runs what it was never told to: "<cluster> <job>". */
  readonly excused = new Set<string>()

  #registered = CLUSTERS.length

  constructor () {
    this.members = CLUSTERS.map((_, n) => this.#member(n, n + 1))
  }

  get at (): Date {
    return new Date(this.now)
  }

  get jobs (): Job[] {
    return [...this.store.jobs.values()]
  }

  commit (change: JobChange | undefined): Job | undefined {
    if (!change) return undefined
    const before = this.store.jobs.get(change.job.id)
    const saved = this.store.commit(change)
    checkChange(before, saved, change, this.store)
    return saved
  }

  /** Decides on every job; a decision must leave what it was given as it was. */
  decide (decide: (job: Job) => JobChange | undefined, jobs = this.jobs): void {
    for (const { id } of jobs) {
      const job = this.store.jobs.get(id)!
      const text = JSON.stringify(job)
      const change = decide(job)
      if (JSON.stringify(job) !== text) throw new Error('a decision changed what it was given')
      this.commit(change)
    }
  }

  check (): void {
    checkAddresses(this.store, addressesOf)
    checkCommands(this.store, this.members.map(({ model }) => model), this.excused)
  }

  /** The cluster gets the next command and answers. */
  deliver ({ model, alive }: Member, answer: 'ack' | 'ack-twice' | 'lost-ack' | 'no-room' | 'refused' | 'refused-but-done'): boolean {
    const [command] = this.store.pending(model.id)
    const job = command && this.store.jobs.get(command.job_id)
    if (!job || !alive) return false
    // What it says of a job that it was never told to run cannot be told from what it says of one that it refused.
    const runsGhost = [...model.jobs.get(job.id)?.values() ?? []].some(({ generation }) => generation === 0)
    if (!runsGhost && (answer === 'no-room' || answer === 'refused')) this.excused.add(`${model.id} ${job.id}`)
    else model.take(command)
    if (answer === 'lost-ack') return true
    if (answer === 'ack' || answer === 'ack-twice') {
      this.decide(job => acknowledged(job, model.id, command.command_id, this.at), [job])
      if (answer === 'ack-twice') this.decide(job => acknowledged(job, model.id, command.command_id, this.at), [job])
    } else {
      this.excused.add(`${model.id} ${job.id}`)
      this.decide(job => refused(job, model.id, command, answer === 'no-room' ? 'NO_WORKER_CAPACITY' : 'boom', this.at), [job])
    }
    this.store.settle(model.id, command.command_id)
    return true
  }

  heartbeat (member: Member): void {
    const { model, known, alive } = member
    if (!alive) return
    const told = model.reports()
    const before = member.told.at(-1)
    Object.assign(known, { last_modified_timestamp: this.now / 1000, total_cpu_cores: model.freeCores })
    member.told.push(told)
    this.report(member, told)
    for (const job of this.jobs) {
      const lists = job.instance_list.some(entry => entry.cluster_id === model.id)
      if (lists && before && !before.has(job.id) && !told.has(job.id)) this.decide(job => missing(job, model.id, this.at), [job])
      if (!lists && before?.has(job.id) && told.has(job.id)) this.decide(job => lingering(job, model.id, this.at), [job])
      const numbers = [...model.jobs.get(job.id)?.keys() ?? []]
      const instances = numbers.map(instance_number => ({ instance_number, host_ip: `192.168.0.${instance_number}`, host_port: 50_000 }))
      if (numbers.length > 0) this.decide(job => detailed(job, { job_id: job.id, instances }, model.id, this.at), [job])
    }
  }

  /** The cluster's word on its jobs, now or from long ago. */
  report ({ model }: Member, told: Map<JobId, Status>): void {
    for (const [jobId, status] of told) {
      const before = this.store.jobs.get(jobId)
      if (!before) continue
      this.decide(job => reported(job, model.id, status, this.at), [before])
      for (const entry of before.instance_list) {
        const after = this.store.jobs.get(jobId)!.instance_list.find(other => other.instance_number === entry.instance_number && other.cluster_id === entry.cluster_id)
        // What an update brings up anew begins below, by a command and not by a report.
        if (after && after.generation === entry.generation && rung(after.status) >= 0 && rung(after.status) < rung(entry.status)) throw new Error(`a report of ${status} moved ${entry.status} back to ${after.status}`)
      }
    }
  }

  /** What the reconciler does. */
  maintenance (): void {
    const now = this.at.toISOString()
    const due = () => this.jobs.filter(job => job.due_at !== null && job.due_at <= now)
    // The end of one patience may reveal that of another, but not over and over.
    for (let rounds = 0; due().length > 0; rounds++) {
      this.decide(job => {
        const change = expireDeadlines(job, POLICY, 'system', this.at)
        if (!change || rounds > 3) throw new Error(`${job.job_name} is due for ever`)
        return change
      }, due())
    }
    for (const { known } of this.members) {
      const silentMs = this.now - known.last_modified_timestamp * 1000
      if (known.lost_at !== null && silentMs < PASS.graceMs) {
        this.decide(job => recovered(job, known.id, known.cluster_name, 'system', this.at))
        Object.assign(known, { lost_at: null, recovered_at: this.at.toISOString() })
      } else if (known.lost_at === null && silentMs >= FAILOVER_MS) {
        this.decide(job => lost(job, known.id, known.cluster_name, 'system', this.at))
        Object.assign(known, { lost_at: this.at.toISOString(), losses: known.losses + 1 })
      }
    }
  }

  place (): void {
    const onTheWay = this.jobs.flatMap(job => job.instance_list).filter(({ status }) => rung(status) >= 0 && status !== 'RUNNING')
    const pass = createPass(this.members.map(({ known }) => {
      const count = onTheWay.filter(entry => entry.cluster_id === known.id).length
      return { cluster: known, reserved: { cpu: count, memory: count } }
    }), { now: this.now, graceMs: PASS.graceMs })
    this.decide(job => {
      if (job.desired_state !== 'running' || !job.instance_list.some(entry => entry.cluster_id === '' && entry.awaits === null)) return undefined
      const decision = pass.decide(job)
      if (decision.kind === 'placed') return placed(job, decision, 'scheduler', this.at)
      if (decision.kind === 'waiting') return waiting(job, decision.explanation, 'scheduler', this.at)
      return unplaceable(job, decision.failure, decision.explanation, 'scheduler', this.at)
    })
  }

  /** The cluster is gone for a while; when it is back it has what it had, or is told all, or has nothing and is told nothing. */
  die (member: Member): void {
    member.alive = false
  }

  comeBack (member: Member, having: 'all' | 'nothing' | 'nothing-but-resync'): void {
    const { model } = member
    if (member.alive) return
    member.alive = true
    if (having === 'all') return
    model.forget()
    for (const job of this.jobs) {
      if (having === 'nothing') this.excused.add(`${model.id} ${job.id}`)
      else if (job.instance_list.some(entry => entry.cluster_id === model.id)) model.bring(jobWithPlainId(job) as never)
    }
  }

  /** The cluster is deleted with all that it has; another one comes in its place. */
  forget (n: number): void {
    const gone = this.members[n]!
    this.decide(job => forgotten(job, gone.known.id, 'user', this.at))
    this.store.outbox.delete(gone.known.id)
    this.members[n] = this.#member(n, ++this.#registered)
  }

  #member (n: number, id: number): Member {
    const [name, location] = CLUSTERS[n]!
    return {
      model: new ModelCluster(idOf(id)),
      known: candidate(id, name, { cluster_location: location, total_cpu_cores: 16, last_modified_timestamp: this.now / 1000 }).cluster,
      alive: true,
      told: []
    }
  }

  /** Which clusters a descriptor allows. */
  mayStay ({ cluster_location: place }: Descriptor): (id: ClusterId) => boolean {
    return id => place === undefined || this.members.some(({ known }) => known.id === id && [known.cluster_name, known.cluster_location].includes(place))
  }
}

function rung (status: Status): number {
  return (WAY_UP as readonly Status[]).indexOf(status === 'CREATING' ? 'CREATED' : status)
}
