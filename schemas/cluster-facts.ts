import type { Cluster } from './cluster.js'
import type { Offer } from './job.js'
import type { Resources } from './job-facts.js'
import { instant } from './wording.js'

/** Rules about a cluster at a point in time. Times are Unix milliseconds. */

/** Milliseconds since the last sign of life of a cluster, by the wall clock. */
export function silenceOf (
  { last_modified_timestamp: lastSign }: Pick<Cluster, 'last_modified_timestamp'>,
  now: number
): number {
  return now - lastSign * 1000
}

/**
 * An original cluster manager, which nobody changes (contract section 10): it registers over Socket.IO, gets its
 * commands by HTTP, never says RUNNING and takes one instance of a job.
 */
export function isOriginal ({ registered_over: over }: Pick<Cluster, 'registered_over'>): boolean {
  return over === 'socket.io'
}

/** Why an original cluster gets no further instance of a job, without a subject. */
export const HAS_ITS_ONE = 'has an instance of it already, and takes no second one'

/** What a cluster has free, as it reported it. */
export function offerOf (
  { total_cpu_cores: cpu, memory_in_mb: memory, active_nodes: nodes }: Pick<
    Cluster,
    'total_cpu_cores' | 'memory_in_mb' | 'active_nodes'
  >
): Offer {
  return { cpu, memory, nodes }
}

/** Milliseconds for which a takeover shows among the warnings of a cluster. */
const TAKEOVER_SHOWN_MS = 86_400_000

/** The warnings of its last heartbeat, and that two machines may use its name. @param now Unix milliseconds. */
export function warningsOf ({ warnings, takeover }: Pick<Cluster, 'warnings' | 'takeover'>, now: number): string[] {
  if (!takeover || now - Date.parse(takeover.at) > TAKEOVER_SHOWN_MS) return warnings
  return [...warnings, `${takeoverOf(takeover)} at ${takeover.at} while the name was in use: do two machines have it?`]
}

/** Who took over the name of a cluster, for a sentence: "10.1.1.2 took over from 10.1.1.1". */
export function takeoverOf ({ from, to }: NonNullable<Cluster['takeover']>): string {
  return from === to ? `another session from ${to} took over` : `${to} took over from ${from}`
}

/** What operators and the lifecycle keep about a cluster, while none of them has set anything. */
export const NO_MAINTENANCE = {
  scheduling: 'active',
  lost_at: null,
  evicted_at: null,
  recovered_at: null,
  losses: 0,
  unknown_jobs: [],
  takeover: null
} satisfies Partial<Cluster>

/**
 * Milliseconds for which a cluster that refused an instance does not get it again: four heartbeats, so that its figures
 * can catch up.
 */
export const REFUSAL_BACKOFF_MS = 60_000

/** Share by which a figure has to grow to be another offer, and no fluctuation. */
const GROWTH = 0.1

/** Whether a cluster has so much more than when it refused that another instance may fit. */
export function hasGrown (
  before: Offer | null,
  now: Offer,
  { cpu, memory }: Resources
): boolean {
  const grew = (from: number | null, to: number | null, asked: number) =>
    to !== null && (from === null || (to > from && to - from >= Math.max(asked, from * GROWTH)))
  return before !== null &&
    (grew(before.cpu, now.cpu, cpu) || grew(before.memory, now.memory, memory) || grew(before.nodes, now.nodes, 1))
}

/** A cluster lost more often than this gets no new instances for a while after its return, twice as long each time. */
const TRUSTED_LOSSES = 1
const FIRST_HOLD_MS = 60_000
const LONGEST_HOLD_MS = 3_600_000

/**
 * Why a cluster gets no new instances, without a subject: "is cordoned"; undefined when it does get them. Maintenance
 * closes a cluster, and a flapping cluster is closed until it has been steady for a while.
 */
export function closedReason (
  { scheduling, losses, recovered_at: recoveredAt }: Pick<Cluster, 'scheduling' | 'losses' | 'recovered_at'>,
  now: number
): string | undefined {
  if (scheduling === 'cordoned') return 'is cordoned'
  if (scheduling === 'draining') return 'is being drained'
  if (losses <= TRUSTED_LOSSES || recoveredAt === null) return undefined
  const holdMs = Math.min(LONGEST_HOLD_MS, FIRST_HOLD_MS * 2 ** (losses - TRUSTED_LOSSES - 1))
  const steady = now - Date.parse(recoveredAt)
  // It came back in the future where the clock was set back since.
  return steady >= 0 && steady < holdMs
    ? `was lost ${losses} times recently, and gets new instances at ${instant(now - steady + holdMs)} if it stays`
    : undefined
}
