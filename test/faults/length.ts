import type { Test } from 'tap'

/** How long a program goes on, and what chance it takes. */
export interface Length {
  seconds: number
  seed: number
  /** Whether the time is over, which begins when this is asked first: after everything was started. */
  isOver(): boolean
}

/**
 * Short in CI; as long as `npm run faults -- NAME --seconds N --seed N` says by hand. Says the seed, so that a failure
 * can be repeated: the acts are the same then, what they meet is not.
 * @param shortS Seconds of the short form.
 */
export function lengthOf (t: Test, shortS: number): Length {
  const { FAULTS_SECONDS, FAULTS_SEED } = process.env
  const seconds = Number(FAULTS_SECONDS ?? shortS)
  const seed = Number(FAULTS_SEED ?? 42)
  t.comment(`${seconds} s with seed ${seed}`)
  // Convergence and restarts come after the time.
  t.setTimeout((seconds + 300) * 1000)
  let end: number | undefined
  return { seconds, seed, isOver: () => performance.now() >= (end ??= performance.now() + seconds * 1000) }
}

/** The figures of a run, in one line. */
export function tell (t: Test, figures: Record<string, number | string>): void {
  t.comment(
    Object.entries(figures)
      .map(([what, figure]) => `${what}: ${figure}`)
      .join('; ')
  )
}
