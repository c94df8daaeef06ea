import { mock } from 'node:test'
import type { Heartbeat } from '../../../schemas/cluster.js'
import type { Job } from '../../../schemas/job.js'
import { PASS } from '../embedded-scheduler/sample.js'
import type { Command } from '../../../schemas/channel.js'
import { ModelCluster } from './cluster.js'
import { ModelOriginal } from './original-cluster.js'
import { checkAddresses, checkChange, checkCommands, checkWords } from './invariants.js'
import { startManager, type Manager } from './manager.js'
import { ModelStore } from './store.js'
import { USER } from '../../support/user.js'

/** How a cluster answers a command. */
type Answer = 'ack' | 'ack-twice' | 'lost-ack' | 'no-room' | 'refused' | 'refused-but-done'

/** A model cluster, and whether anyone can reach it. */
export interface Member {
  model: ModelCluster
  alive: boolean
  /** Its heartbeats, the newest last. */
  told: Heartbeat[]
}

/** Where each cluster is. */
export const CLUSTERS: ReadonlyArray<[name: string, location: string]> = [['a', 'north'], ['b', 'north'], ['c', 'south'], ['d', 'south']]

/** Those that are original ones. */
const ORIGINALS: readonly string[] = ['d']

/** Milliseconds that an original cluster is given after a removal, as REDEPLOY_AFTER_S. */
const REDEPLOY_MS = 15_000

/**
 * Clusters, a System Manager on a store, and a clock, which is `Date` under the mock timers of node:test. Whatever is
 * done to it, the invariants are checked.
 */
export class World {
  readonly store = new ModelStore((before, job, change) => checkChange(before, job, change, this.store))
  manager = startManager(this.store, 1)
  /** The one before: it lost its lease and has not noticed. */
  former: Manager | undefined
  readonly members: Member[] = []
  /** Images whose containers fail. */
  failing = (image: string): boolean => image === 'broken'
  /** Jobs of which a cluster refused or lost something, or runs something without a command: "<cluster> <job>". */
  readonly excused = new Set<string>()
  #fence = 1

  static async begin (): Promise<World> {
    mock.timers.setTime(PASS.now)
    const world = new World()
    for (const n of CLUSTERS.keys()) await world.#join(n)
    return world
  }

  get jobs (): Job[] {
    return this.store.allJobs
  }

  wait (seconds: number): void {
    mock.timers.tick(seconds * 1000)
  }

  check (): void {
    checkAddresses(this.store)
    const models = this.members.map(({ model }) => model)
    checkCommands(this.store, models, this.excused)
    checkWords(this.store, models, this.excused)
  }

  /** Another System Manager takes over, with nothing but the store. The one before may go on for a while. */
  restart (): void {
    this.former = this.manager
    this.manager = startManager(this.store, ++this.#fence)
  }

  /** What it may get next: commands about a job that an original cluster has just removed are passed by others. */
  #next ({ id, isOriginal }: ModelCluster): Command | undefined {
    const held = new Set<string>()
    return this.store.pending(id).find(({ job_id: jobId, removed_at: removedAt }) => {
      const isEarly = isOriginal && removedAt !== undefined && Date.now() < Date.parse(removedAt) + REDEPLOY_MS
      if (!isEarly && !held.has(jobId)) return true
      held.add(jobId)
      return false
    })
  }

  /** An original cluster answers 500 to a delete of what it never placed, and finds out later that it has no room. */
  async #answerOf (model: ModelOriginal, command: Command, answer: Answer): Promise<Answer> {
    if (command.kind === 'delete' && model.failsToDelete(command.job_id)) {
      return await this.manager.reports.isNothingToRemove(model.id, command) ? 'ack' : 'refused'
    }
    if (answer !== 'no-room') return answer
    if (command.kind === 'deploy') model.lackRoom(command.job_id)
    return 'ack'
  }

  /** The cluster gets the next command and answers. */
  async deliver ({ model, alive }: Member, asked: Answer): Promise<boolean> {
    const command = this.#next(model)
    if (!command || !alive) return false
    if (model.isOriginal && command.removed_at !== undefined) await this.manager.reports.sending(model.id, command)
    const answer = model instanceof ModelOriginal ? await this.#answerOf(model, command, asked) : asked
    const isWithoutRoom = asked === 'no-room' && answer === 'ack' && command.kind === 'deploy'
    if (isWithoutRoom) this.excused.add(`${model.id} ${command.job_id}`)
    const about = `${model.id} ${command.job_id}`
    // Its reports on what it runs without a command look like those on what it refused.
    const runsGhost = [...model.jobs.get(command.job_id)?.values() ?? []].some(({ generation }) => generation === 0)
    if (!runsGhost && (answer === 'no-room' || answer === 'refused')) this.excused.add(about)
    else if (!isWithoutRoom) model.take(command)
    if (answer === 'lost-ack') return true
    const { reports } = this.manager
    if (answer === 'ack' || answer === 'ack-twice') {
      await reports.take(model.id, [{ acknowledged: [command] }])
      if (answer === 'ack-twice') await reports.take(model.id, [{ acknowledged: [command] }])
    } else {
      this.excused.add(about)
      await reports.refused(model.id, command, answer === 'no-room' ? 'NO_WORKER_CAPACITY' : 'boom')
    }
    this.store.settle(model.id, command.command_id)
    return true
  }

  async heartbeat (member: Member): Promise<void> {
    const { model, alive, told } = member
    if (!alive) return
    const body: Heartbeat = {
      cpu_cores: model.freeCores,
      technology: ['docker'],
      // Some clusters speak of each instance.
      jobs: [...model.reports()].map(([system_job_id, status]) => ({
        system_job_id, status, ...(model.tellsApart && { instances: model.instancesOf(system_job_id) })
      }))
    }
    told.push(body)
    await this.manager.heartbeat(model.id, body)
    for (const [jobId, containers] of model.jobs) {
      const up = [...containers].filter(([, { status }]) => ['CREATED', 'DEPLOYED', 'RUNNING'].includes(status))
      const instances = up.map(([instance_number]) => ({ instance_number, host_ip: `192.168.0.${instance_number}`, host_port: 50_000 }))
      if (up.length === 0) continue
      if (model.isOriginal) await this.manager.reports.result({ job_id: jobId, instances })
      else await this.manager.reports.take(model.id, [{ result: { job_id: jobId, instances } }])
    }
  }

  /** A heartbeat that was long on its way. */
  async oldHeartbeat ({ model, told, alive }: Member, age: number): Promise<void> {
    const body = told.at(-1 - age)
    if (model.isOriginal) for (const { id } of this.jobs) this.excused.add(`${model.id} ${id}`)
    if (body && alive) await this.manager.heartbeat(model.id, body)
  }

  /** What time brings. */
  async maintain (manager = this.manager): Promise<void> {
    const now = new Date(Date.now()).toISOString()
    const due = () => this.jobs.filter(job => job.due_at !== null && job.due_at <= now)
    await manager.expireDue()
    // The end of one deadline may reveal another, but not over and over.
    for (let rounds = 0; manager === this.manager && !manager.isHeld() && due().length > 0; rounds++) {
      if (rounds > 3) throw new Error(`${due()[0]!.job_name} is due for ever`)
      await manager.expireDue()
    }
    await manager.watchSilence()
  }

  /** The cluster is back after a while, with all that it had, with nothing, or with what a resync brings. */
  async comeBack (member: Member, having: 'all' | 'nothing' | 'nothing-but-resync'): Promise<void> {
    const { model } = member
    if (member.alive) return
    member.alive = true
    if (having !== 'all') model.forget()
    if (having === 'nothing') for (const { id } of this.jobs) this.excused.add(`${model.id} ${id}`)
    if (model.isOriginal && having !== 'all') for (const { id } of this.jobs) this.excused.add(`${model.id} ${id}`)
    else if (having === 'nothing-but-resync') {
      for (const job of (await this.manager.reports.desiredOn(model.id))!) model.bring(job)
    }
    await this.#register(this.members.indexOf(member))
  }

  /** The cluster is deleted with all that it has; another one comes in its place. */
  async forget (n: number): Promise<void> {
    await this.manager.operators.remove(this.members[n]!.model.id, { force: true, by: USER })
    await this.#join(n)
  }

  async #join (n: number): Promise<void> {
    const { id } = await this.#register(n)
    const model = ORIGINALS.includes(CLUSTERS[n]![0]) ? new ModelOriginal(id) : new ModelCluster(id)
    this.members[n] = { model, alive: true, told: [] }
    await this.heartbeat(this.members[n])
  }

  #register (n: number) {
    const [name, location] = CLUSTERS[n]!
    const over = ORIGINALS.includes(name) ? 'socket.io' : 'channel'
    return this.manager.registry.register({ cluster_name: name, cluster_location: location }, '10.0.0.1', over)
  }
}
