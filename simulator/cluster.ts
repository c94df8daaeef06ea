import { EventEmitter } from 'node:events'
import type { Command } from '../schemas/channel.js'
import type { JobId } from '../schemas/job.js'
import type { Status } from '../schemas/status.js'
import { createClusterAddresses } from './addresses.js'
import { createContainers, type Delays } from './containers.js'
import { createCommandLog, type Answer } from './command-log.js'
import { openSession, type Backoff } from './session.js'
import type { Registered, Resync } from './server-frames.js'
import { readState, writeState, type ClusterJob } from './state-file.js'
import { createWorkers, type WorkerSpec } from './workers.js'
import { createWorkload, statusOf } from './workload.js'

export interface ClusterOptions {
  /** URL of the raw channel: ws://host:port/register. */
  url: string
  name: string
  location?: string | null
  workers: Array<Omit<WorkerSpec, 'technology' | 'address'> & Partial<WorkerSpec>>
  /** Port that the cluster registers with. Commands come on the channel, so nothing listens there. */
  managerPort?: number
  advertiseAddress?: string
  info?: unknown
  /** Seconds between heartbeats, if less than the System Manager's interval. */
  heartbeatIntervalS?: number
  delays?: Partial<Delays>
  backoff?: Partial<Backoff>
  /** File that keeps the state for a restarted process. Without it, the state is in memory only. */
  stateFile?: string
}

export interface ClusterEvents {
  registered: [Registered]
  /** A command came, perhaps once more. */
  delivered: [Command]
  /** A new command was carried out, or refused with a reason. */
  command: [Command, refusal: string | null]
  resync: [Resync]
  /** A job has a new status; undefined when it is gone. */
  status: [JobId, Status | undefined]
  lost: [reason: string]
  problem: [text: string]
}

/** A job as the cluster runs it. */
export interface RunningJob {
  job_id: JobId
  job_name: string
  image: string
  status: Status
  /** `image` is the one that the instance was started from: during an update, it may differ from that of the job. */
  instances: Array<
    {
      instance_number: number
      worker: string
      image: string
      status: Status
      namespace_ip: string
      host_ip: string
      host_port: number
    }
  >
}

/** A simulated cluster manager with its workers, on the raw WebSocket channel (contract section 5). */
export interface SimulatedCluster {
  name: string
  /** Id from the System Manager; undefined before the first registration. */
  readonly id: string | undefined
  readonly registered: boolean
  events: EventEmitter<ClusterEvents>
  running (): RunningJob[]
  /** Stops all instances of the job with this status. False if it runs none. */
  failJob (jobId: JobId, status: Status): boolean
  /** Restarts the instances of the job, as clusters do without a command. False if it runs none. */
  restartJob (jobId: JobId): boolean
  /** Loses the connection, as in a broken network. The cluster then reconnects. */
  dropConnection (): void
  /** Dies like a killed process: no close frame, and no further save. */
  kill (): Promise<void>
  /** Saves the state, and closes the channel with a close frame. */
  stop (): Promise<void>
}

/** Milliseconds within which changes share a heartbeat, so that a thousand starting jobs do not send a thousand. */
const GATHER_MS = 20
/** Additional milliseconds per job, since each heartbeat lists all jobs. */
const GATHER_MS_PER_JOB = 0.1

/** Starts a simulated cluster. Throws if the content of the state file is not a state. */
export function startSimulatedCluster (options: ClusterOptions): SimulatedCluster {
  const { name, stateFile } = options
  const saved = stateFile === undefined ? undefined : readState(stateFile)
  const events = new EventEmitter<ClusterEvents>()
  const addresses = createClusterAddresses(name)
  const workers = createWorkers(
    options.workers.map((spec, index) => ({ technology: ['docker'], address: addresses.worker(index), ...spec }))
  )
  const containers = createContainers(addresses, { createMs: 300, startMs: 700, ...options.delays })
  const commandLog = createCommandLog(saved?.last_seq, saved?.answered ?? [])
  const changed = new Set<JobId>()
  const lastStatus = new Map<JobId, Status>()
  let id = saved?.cluster_id
  let ended = false
  let heartbeats: NodeJS.Timeout | undefined
  let gathering: NodeJS.Timeout | undefined

  const workload = createWorkload({
    workers,
    containers,
    saved: saved?.jobs ?? [],
    onChange: jobId => {
      changed.add(jobId)
      tellSoon()
    }
  })
  workload.resume()
  const session = openSession({
    url: options.url,
    backoff: { firstMs: 200, longestMs: 10_000, ...options.backoff },
    present: () => ({
      cluster_name: name,
      manager_port: options.managerPort ?? 10100,
      cluster_info: options.info ?? { simulated: true },
      cluster_location: options.location ?? null,
      ...(commandLog.resumeFrom !== undefined && { last_seq: commandLog.resumeFrom }),
      ...(options.advertiseAddress !== undefined && { advertise_address: options.advertiseAddress })
    })
  })

  session.events.on('registered', registered => {
    id = registered.id
    save()
    session.send('nodes', { count: workers.count })
    // What was sent on a lost connection may not have arrived.
    for (const { document } of workload.jobs()) changed.add(document._id)
    tellSoon()
    clearInterval(heartbeats)
    heartbeats = setInterval(
      tell,
      Math.min(registered.heartbeat_interval_s, options.heartbeatIntervalS ?? Infinity) * 1000
    )
    events.emit('registered', registered)
  })
  session.events.on('command', command => {
    events.emit('delivered', command)
    take(command)
  })
  session.events.on('resync', resync => {
    const taken = Math.max(0, resync.next_seq - 1)
    for (const text of workload.resync(resync.jobs, id ?? '')) events.emit('problem', text)
    commandLog.resetTo(taken)
    save()
    session.send('ack', { seq: taken })
    events.emit('resync', resync)
  })
  session.events.on('lost', reason => {
    clearInterval(heartbeats)
    events.emit('lost', reason)
  })
  session.events.on('problem', text => events.emit('problem', text))

  function take (command: Command) {
    const earlier = commandLog.answerTo(command)
    if (earlier !== undefined) return answer(command, earlier)
    const refusal = carryOut(command) ?? null
    commandLog.record(command, refusal)
    // Saved before it is acknowledged: the System Manager does not send it again after that.
    save()
    answer(command, refusal)
    events.emit('command', command, refusal)
  }

  /** @returns The reason for a refusal; undefined if the command was carried out. */
  function carryOut ({ kind, job_id: jobId, job, node_from: from, node_to: to }: Command): string | undefined {
    switch (kind) {
      case 'delete':
        workload.remove(jobId)
        return
      case 'move':
        return workload.move(jobId, from, to)
      // For both, the job's instance_list has what should run.
      case 'deploy':
      case 'replicate':
        return workload.bring(job, id ?? '')
    }
  }

  function answer ({ seq }: Command, refusal: Answer) {
    if (refusal === null) session.send('ack', { seq })
    else session.send('nack', { seq, error: refusal })
  }

  function save () {
    if (stateFile === undefined) return
    writeState(stateFile, {
      ...(id !== undefined && { cluster_id: id }),
      ...(commandLog.lastSeq !== undefined && { last_seq: commandLog.lastSeq }),
      answered: commandLog.answered(),
      jobs: workload.jobs()
    })
  }

  function tellSoon () {
    gathering ??= setTimeout(tell, GATHER_MS + workload.count * GATHER_MS_PER_JOB)
  }

  /** Sends a heartbeat, then the `result` of each job that has changed. */
  function tell () {
    clearTimeout(gathering)
    gathering = undefined
    noteStatuses()
    if (!session.registered) return
    session.send('information', { ...workers.figures(), jobs: workload.reports() })
    for (const jobId of changed) {
      const result = workload.result(jobId)
      if (result) session.send('result', result)
    }
    changed.clear()
  }

  function noteStatuses () {
    const statuses = new Map(workload.jobs().map(job => [job.document._id, statusOf(job)]))
    for (const jobId of changed) {
      const status = statuses.get(jobId)
      if (lastStatus.get(jobId) === status) continue
      if (status) lastStatus.set(jobId, status)
      else lastStatus.delete(jobId)
      events.emit('status', jobId, status)
    }
  }

  function quiet () {
    ended = true
    clearInterval(heartbeats)
    clearTimeout(gathering)
    containers.haltAll()
  }

  return {
    name,
    events,
    get id () {
      return id
    },
    get registered () {
      return session.registered
    },
    running: () => workload.jobs().map(toRunning),
    failJob: (jobId, status) => workload.fail(jobId, status),
    restartJob: jobId => workload.restart(jobId),
    dropConnection: () => session.drop(),

    async kill () {
      if (ended) return
      quiet()
      await session.end('abruptly')
    },

    async stop () {
      if (ended) return
      quiet()
      save()
      await session.end('gracefully')
    }
  }

  function toRunning (job: ClusterJob): RunningJob {
    const { _id, job_name, image } = job.document
    return {
      job_id: _id,
      job_name,
      image,
      status: statusOf(job),
      instances: job.containers.map(({ instance_number, worker, image, status, namespace_ip, host_port }) => ({
        instance_number,
        worker,
        image,
        status,
        namespace_ip,
        host_ip: workers.address(worker),
        host_port
      }))
    }
  }
}
