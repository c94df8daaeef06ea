import { count } from '../../../schemas/wording.js'
import type { Vitals } from '../../cluster-registry/liveness.js'

/** When silence is doubted. Times in milliseconds. */
export interface HoldSettings {
  /** Share of the active clusters above which a common silence is doubted; 1 turns that off. */
  share: number
  /** The time within which they fall silent. */
  graceMs: number
  /** Silence after which a cluster is lost. */
  failoverMs: number
  /** What a cluster has from the first sign of life on before it is evicted. */
  patienceMs: number
  /** Evictions a minute after a hold, at most. */
  rate: number
}

/**
 * Whether a silence of clusters is theirs. When most of them fall silent together, it is likelier that this System
 * Manager was cut off: then what they run is not started elsewhere until they had their time to come back.
 */
export interface EvictionHold {
  /** Looks at the clusters; `listenedMs` is how long they had the chance to report. True while evictions are held. */
  update (vitals: Vitals[], listenedMs: number): boolean
  /** A new leader knows nothing of the hold of the earlier one: what is lost and not evicted is held anew. */
  resume (vitals: Vitals[]): void
  /** Whether one more of the clusters that were held may be evicted now. */
  mayEvict (): boolean
  /** The hold in words, of the last `update`; undefined without one. */
  reason (): string | undefined
  readonly isHeld: boolean
}

/** Fewer clusters say nothing about this System Manager. */
const FEWEST = 3
const MINUTE_MS = 60_000

interface Hold {
  since: number
  reason: string
  firstSign: number | undefined
}

/** @param monotonic The clock, in milliseconds. */
export function createEvictionHold (settings: HoldSettings, monotonic = () => performance.now()): EvictionHold {
  const { share, graceMs, failoverMs, patienceMs, rate } = settings
  // Also where clusters are lost as soon as they are inactive, the first one must not go before the others show.
  const suspectMs = Math.min(graceMs, failoverMs / 2)
  let hold: Hold | undefined
  /** Times of evictions after a hold, within the last minute. */
  let evictions: number[] = []

  function begin (reason: string): void {
    hold = { since: monotonic(), reason, firstSign: undefined }
  }

  return {
    get isHeld () {
      return hold !== undefined
    },

    update (vitals, listenedMs) {
      const now = monotonic()
      if (hold) {
        const { since } = hold
        const latest = vitals.reduce((last, { silentMs }) => Math.max(last, now - silentMs), -Infinity)
        if (hold.firstSign === undefined && latest > since) hold.firstSign = now
        if (hold.firstSign !== undefined && now - hold.firstSign >= patienceMs) hold = undefined
      } else if (listenedMs >= suspectMs) {
        const silent = vitals.filter(({ lost, silentMs }) => !lost && silentMs >= suspectMs)
        const together = mostWithin(silent.map(({ silentMs }) => silentMs), graceMs)
        const all = together + vitals.filter(({ silentMs }) => silentMs < suspectMs).length
        if (all >= FEWEST && together / all > share) begin(`${together} of ${all} clusters fell silent together`)
      }
      return hold !== undefined
    },

    resume (vitals) {
      const held = vitals.filter(({ lost, evicted, silentMs }) => lost && !evicted && silentMs >= suspectMs).length
      if (held > 0) begin(`${count(held, 'cluster')} had fallen silent together when this System Manager took over`)
    },

    mayEvict () {
      const now = monotonic()
      evictions = evictions.filter(at => now - at < MINUTE_MS)
      if (evictions.length >= rate) return false
      evictions.push(now)
      return true
    },

    reason: () => hold?.reason
  }
}

/** The most of these values that lie within `width` of each other. */
function mostWithin (values: number[], width: number): number {
  const sorted = values.sort((a, b) => a - b)
  let most = 0
  let first = 0
  for (const [index, value] of sorted.entries()) {
    while (value - sorted[first]! > width) first++
    most = Math.max(most, index - first + 1)
  }
  return most
}
