/** The wall clock of this machine, which may be set at any time, seen from monotonic time. */
export interface Clock {
  /** Looks whether it was set since the last look. */
  look (): void
  /**
   * Milliseconds by which it was set forward within the last `windowMs`: a deadline that was stored before has so much
   * longer to go. 0 where it was set back: such deadlines end late, and none too early.
   */
  forwardMs (windowMs: number): number
}

/** Differences below this many milliseconds are those of a clock that is kept in time. */
const LEAST_STEP_MS = 1000

/**
 * @param onStep The clock was set, by so many milliseconds, negative for back.
 * @param wall Unix milliseconds. @param monotonic Milliseconds that never jump.
 */
export function createClock (
  onStep: (stepMs: number) => void,
  wall = () => Date.now(),
  monotonic = () => performance.now()
): Clock {
  let offset = wall() - monotonic()
  let steps: Array<{ at: number, stepMs: number }> = []

  function look (): void {
    const found = wall() - monotonic()
    const stepMs = found - offset
    // Always from the last look, so that a clock that is kept in time never adds up to a step.
    offset = found
    if (Math.abs(stepMs) < LEAST_STEP_MS) return
    steps.push({ at: monotonic(), stepMs })
    onStep(stepMs)
  }

  return {
    look,
    forwardMs (windowMs) {
      look()
      const now = monotonic()
      steps = steps.filter(({ at }) => now - at < windowMs)
      return Math.max(0, steps.reduce((sum, { stepMs }) => sum + stepMs, 0))
    }
  }
}
