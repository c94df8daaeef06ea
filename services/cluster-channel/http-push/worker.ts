import { ExponentialBackoff, fullJitterGenerator, type BulkheadPolicy, type IBackoff } from 'cockatiel'
import type { FastifyBaseLogger } from 'fastify'
import type { Command } from '../../../schemas/channel.js'
import type { Cluster, ClusterId } from '../../../schemas/cluster.js'
import { isOriginal } from '../../../schemas/cluster-facts.js'
import type { JobId } from '../../../schemas/job.js'
import { ApiError } from '../../../schemas/errors.js'
import type { OutboxStore } from '../../../stores/store.js'
import type { ClusterRegistry } from '../../cluster-registry/registry.js'
import type { ClusterReports } from '../../job-lifecycle/operations/cluster-reports.js'
import type { Acknowledgements } from '../acknowledgements.js'
import { isForChannel, type Caller, type Outcome } from './call.js'
import type { RedeployDelays } from './redeploy-delay.js'

/**
 * Pushes the outbox of one cluster, one command at a time, until nothing is left to push. They go in order, save that
 * those about a job in its redeploy delay are passed by others: over HTTP a cluster knows no `seq`, and only the order
 * of the commands about one job means something to it.
 */
export interface PushWorker {
  /** There may be new commands. A cluster that is away is not tried earlier for that. */
  wake (): void
  /** The cluster gave a sign of life: the next try comes sooner. */
  hurry (): void
  /**
   * Begins nothing new; a call on the wire has `patienceMs` to be answered. Resolves when nothing is under way.
   */
  stop (patienceMs: number): Promise<void>
}

export interface PushContext {
  registry: Pick<ClusterRegistry, 'get'>
  reports: Pick<ClusterReports, 'delivery' | 'sending' | 'isNothingToRemove' | 'isRemovalOver'>
  outbox: OutboxStore
  acknowledgements: Acknowledgements
  caller: Caller
  /** Bounds the calls of all workers. */
  calls: BulkheadPolicy
  redeployDelays: RedeployDelays
  /**
   * Whether this process is still the one that pushes: false as soon as its lease has run out, also while it was
   * suspended.
   */
  leads (): boolean
  /** Whether commands of this cluster are to be pushed by this process, now. */
  isOurs (clusterId: ClusterId): Promise<boolean>
  log: FastifyBaseLogger
}

/** Why a command waits while others pass. */
const JUST_REMOVED = 'the cluster has just removed it, and is given time for that'
const ONLY_OVER_CHANNEL = 'several instances of one job can be told over its channel only, which is closed'

/** Commands read at a time: what is superseded within them is not sent. */
const LOOKAHEAD = 16

/** Tries of a command that the cluster itself fails at, before that counts as a refusal. */
const MAX_FAILURES = 5

/** Milliseconds between tries, for ever: full jitter, so that many clusters are not tried at once. */
const BACKOFF = new ExponentialBackoff({ initialDelay: 500, maxDelay: 30_000, generator: fullJitterGenerator })

/** Milliseconds between two tries at least, however many signs of life the cluster gives. */
const SHORTEST_HURRY_MS = 1000

/** What follows a turn: the end, the next command, another try after a pause, or the end of a redeploy delay. */
type Next = 'done' | 'next' | 'pause' | { delayedUntil: number }

/** @param onDone Called in the same step in which the worker decides to end: a later wake needs a new worker. */
export function startPushWorker (clusterId: ClusterId, onDone: () => void, context: PushContext): PushWorker {
  const { registry, reports, outbox, acknowledgements, caller, calls, redeployDelays, log } = context
  const stopping = new AbortController()
  const aborter = new AbortController()
  let isWanted = false
  /** In a call, or storing its outcome. */
  let isCalling = false
  /** In a pause that a new command ends. */
  let isDelayed = false
  /** The last pause before a try, while none gets through. */
  let backoff: IBackoff<unknown> | undefined
  let failing: { seq: number, times: number } | undefined
  let endPause: (earliestMs: number) => void = () => {}

  async function run (): Promise<void> {
    while (!stopping.signal.aborted) {
      isWanted = false
      const next = await turn().catch((err: unknown): Next => {
        // It was removed, and its outbox with it.
        if (err instanceof ApiError && err.code === 'cluster_not_found') return 'done'
        log.error({ err, cluster_id: clusterId }, 'pushing commands failed, it is tried again')
        return 'pause'
      })
      if (next === 'done' && !isWanted) break
      if (stopping.signal.aborted) break
      if (next === 'pause') {
        backoff = (backoff ?? BACKOFF).next(undefined)
        await pause(backoff.duration)
        continue
      }
      backoff = undefined
      if (typeof next === 'object' && !isWanted) {
        isDelayed = true
        await pause(next.delayedUntil - performance.now())
        isDelayed = false
      }
    }
    onDone()
  }

  async function turn (): Promise<Next> {
    const cluster = await registry.get(clusterId)
    if (cluster.delivery !== 'http' || !await context.isOurs(clusterId)) return 'done'
    const { page, command, delayedUntil } = await find(cluster)
    if (!command) return delayedUntil === Infinity ? 'done' : { delayedUntil }
    return await calls.execute(async () => {
      // It may have waited long for its turn.
      if (stopping.signal.aborted || !context.leads()) return 'done'
      isCalling = true
      try {
        return await settle(
          page,
          command,
          await callOn(cluster, command),
          `${cluster.cluster_name} at ${cluster.ip}:${cluster.port}`
        )
      } finally {
        isCalling = false
      }
    })
  }

  async function callOn (cluster: Cluster, command: Command): Promise<Outcome> {
    const isRemoval = command.kind === 'delete' && isOriginal(cluster)
    if (command.removed_at !== undefined && isOriginal(cluster)) await reports.sending(clusterId, command)
    if (isRemoval && await reports.isRemovalOver(clusterId, command)) return { kind: 'taken' }
    const outcome = await caller.call(cluster, command, aborter.signal)
    // It fails at a delete of what it never placed: that is done (contract section 10).
    const isAbsent = isRemoval && outcome.kind === 'failed' && outcome.status === 500 &&
      await reports.isNothingToRemove(clusterId, command)
    return isAbsent ? { kind: 'taken' } : outcome
  }

  /** The first command that may be sent now, with its page; else when the first redeploy delay ends. */
  async function find (cluster: Cluster): Promise<{ page: Command[], command?: Command, delayedUntil: number }> {
    // One moment for all: else a command could pass an earlier one about the same job whose delay ends meanwhile.
    const now = performance.now()
    let delayedUntil = Infinity
    const held = new Map<JobId, string>()
    /** Commands of earlier pages about these jobs: a delete behind them makes them needless. */
    const passed: Command[] = []
    for (let after = 0; ;) {
      const page = await outbox.pending(clusterId, { after, limit: LOOKAHEAD })
      for (const [index, command] of page.entries()) {
        if (isSuperseded(page, index)) continue
        const end = redeployDelays.end(clusterId, command)
        const isBehind = held.get(command.job_id) === ONLY_OVER_CHANNEL && command.kind !== 'delete'
        const isOnlyForChannel = isBehind || isForChannel(command, cluster)
        if (end <= now && !isOnlyForChannel) return { page: [...passed, ...page], command, delayedUntil }
        held.set(command.job_id, isOnlyForChannel ? ONLY_OVER_CHANNEL : JUST_REMOVED)
        if (!isOnlyForChannel) delayedUntil = Math.min(delayedUntil, end)
      }
      for (const [jobId, reason] of held) await reports.delivery(clusterId, [jobId], reason)
      passed.push(...page.filter(({ job_id: id }) => held.has(id)))
      if (page.length < LOOKAHEAD) return { page, delayedUntil }
      after = page.at(-1)!.seq
    }
  }

  async function settle (page: Command[], command: Command, outcome: Outcome, where: string): Promise<Next> {
    // What it superseded is settled with it, and first: after a crash in between it would be sent after all.
    const settled = page.filter(({ job_id: id, seq }) => id === command.job_id && seq <= command.seq)
    switch (outcome.kind) {
      case 'taken':
      case 'doubtful':
        if (command.kind === 'delete') redeployDelays.begin(clusterId, command.job_id)
        for (const each of settled) await acknowledgements.take(clusterId, each)
        await reports.delivery(
          clusterId,
          [command.job_id],
          outcome.kind === 'taken' ? null : `${where} answered ${outcome.reason}; its heartbeats decide`
        )
        return 'next'
      case 'failed':
        failing = { seq: command.seq, times: failing?.seq === command.seq ? failing.times + 1 : 1 }
        if (failing.times < MAX_FAILURES) return await putOff(page, `${where} failed: ${outcome.reason}`)
        break
      case 'unreached':
        return await putOff(page, `${where} cannot be reached, it is tried again: ${outcome.reason}`)
    }
    log.info({ cluster_id: clusterId, seq: command.seq, reason: outcome.reason }, 'a cluster manager refused a command')
    for (const { seq } of settled) await acknowledgements.refuse(clusterId, seq, outcome.reason)
    return 'next'
  }

  async function putOff (page: Command[], reason: string): Promise<Next> {
    // Another process may have got through meanwhile.
    if (aborter.signal.aborted || !context.leads()) return 'done'
    log.debug({ cluster_id: clusterId, reason }, 'a command could not be pushed')
    await reports.delivery(clusterId, page.map(command => command.job_id), reason)
    return 'pause'
  }

  function pause (ms: number): Promise<void> {
    const began = performance.now()
    return new Promise(resolve => {
      let timer = setTimeout(resolve, ms).unref()
      endPause = earliestMs => {
        clearTimeout(timer)
        timer = setTimeout(resolve, Math.min(ms, earliestMs) - (performance.now() - began)).unref()
      }
    })
  }

  const stopped = run()

  return {
    wake () {
      isWanted = true
      if (isDelayed) endPause(0)
    },
    hurry: () => endPause(SHORTEST_HURRY_MS),
    async stop (patienceMs) {
      stopping.abort()
      endPause(0)
      if (!isCalling) return
      const patience = setTimeout(() => aborter.abort(), patienceMs)
      await stopped
      clearTimeout(patience)
    }
  }
}

/**
 * A command that the cluster need not see, since a later one for the same job was not sent either: a delete ends all
 * before it, and the next deploy or replicate holds the whole newer state.
 */
function isSuperseded (page: Command[], index: number): boolean {
  const { kind, job_id: jobId } = page[index]!
  const later = page.slice(index + 1).filter(command => command.job_id === jobId)
  return later.some(command => command.kind === 'delete') || (kind !== 'move' && later[0]?.kind === kind)
}
