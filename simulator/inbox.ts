import type { Command } from '../schemas/channel.js'

/** What to answer to a command: taken, or refused and why. */
export type Answer = string | null

/** Takes each command once (contract section 5), though delivery is at least once. */
export interface Inbox {
  /** The last command taken, undefined before the first one. */
  readonly lastSeq: number | undefined
  /** The answer to a command that was taken already; undefined for a new one. */
  answerTo (command: Command): Answer | undefined
  /** Remembers the answer to a new command. */
  record (command: Command, answer: Answer): void
  /** Begins anew after `seq`, when the System Manager told the whole state. */
  resetTo (seq: number): void
  /** The answers that are remembered, oldest first. */
  answers (): Array<[commandId: string, Answer]>
}

/** Refusals must be said again in the same words; commands that come again are recent ones. */
const REMEMBERED = 500

export function createInbox (lastSeq: number | undefined, saved: Array<[string, Answer]>): Inbox {
  const answers = new Map(saved)

  return {
    get lastSeq () { return lastSeq },

    answerTo ({ command_id: id, seq }) {
      const known = answers.get(id)
      if (known !== undefined) return known
      // Older than what is remembered, but taken: seq only ever rises.
      return lastSeq !== undefined && seq <= lastSeq ? null : undefined
    },

    record ({ command_id: id, seq }, answer) {
      answers.set(id, answer)
      const [oldest] = answers.keys()
      if (oldest !== undefined && answers.size > REMEMBERED) answers.delete(oldest)
      lastSeq = Math.max(lastSeq ?? 0, seq)
    },

    resetTo (seq) {
      answers.clear()
      lastSeq = seq
    },

    answers: () => [...answers]
  }
}
