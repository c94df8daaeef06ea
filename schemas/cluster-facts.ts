import type { Cluster } from './cluster.js'

/** What follows from a cluster and the time. Times are Unix milliseconds. */

/** Milliseconds since its last sign of life. */
export function silenceOf (
  { last_modified_timestamp: lastSign }: Pick<Cluster, 'last_modified_timestamp'>,
  now: number
): number {
  return now - lastSign * 1000
}

/**
 * The rule of liveness (contract section 4): a cluster is active while its silence is shorter than `graceMs`, 45 s for
 * the System Manager.
 */
export function isActive (cluster: Pick<Cluster, 'last_modified_timestamp'>, now: number, graceMs: number): boolean {
  return silenceOf(cluster, now) < graceMs
}

/**
 * For so long a cluster that refused an instance is not asked again: four heartbeats, for its figures to be corrected.
 */
export const REFUSAL_REST_MS = 60_000

/** After this many losses a cluster gets nothing new for a while when it comes back, twice as long each time. */
const TRUSTED_LOSSES = 1
const FIRST_REST_MS = 60_000
const LONGEST_REST_MS = 3_600_000

/**
 * Why a cluster takes nothing new; undefined when it does. Operators close clusters, and one that comes and goes is
 * closed until it has been steady for a while.
 */
export function closedReason (
  { scheduling, losses, recovered_at: recoveredAt }: Pick<Cluster, 'scheduling' | 'losses' | 'recovered_at'>,
  now: number
): string | undefined {
  if (scheduling === 'cordoned') return 'is cordoned'
  if (scheduling === 'draining') return 'is being drained'
  if (losses <= TRUSTED_LOSSES || recoveredAt === null) return undefined
  const rest = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** (losses - TRUSTED_LOSSES - 1))
  const steady = now - Date.parse(recoveredAt)
  return steady < rest
    ? `was lost ${losses} times lately, and is back for ${Math.floor(steady / 1000)} s of the ${rest / 1000} s that ` +
      'it is to be steady'
    : undefined
}
