import type { Command } from '../schemas/channel.js'

/** What to answer to a command: null when it is taken, else why it is refused. */
export type Answer = string | null

/** A command that was answered. */
export interface Answered {
  command_id: string
  seq: number
  answer: Answer
}

/** Takes each command once (contract section 5), though delivery is at least once. */
export interface CommandLog {
  /** The last command answered, undefined before the first one. */
  readonly lastSeq: number | undefined
  /** What to tell as `last_seq` when the connection is made anew. */
  readonly resumeFrom: number | undefined
  /** The answer to a command that was answered already; undefined for a new one. */
  answerTo (command: Command): Answer | undefined
  /** Remembers the answer to a new command. */
  record (command: Command, answer: Answer): void
  /** Begins anew after `seq`, when the System Manager has sent the whole state. */
  resetTo (seq: number): void
  /** What is remembered, oldest first. */
  answered (): Answered[]
}

/** Refusals must be said again in the same words; commands that come again are recent ones. */
const REMEMBERED = 500

export function createCommandLog (lastSeq: number | undefined, saved: Answered[]): CommandLog {
  const answered = new Map(saved.map(one => [one.command_id, one]))

  return {
    get lastSeq () {
      return lastSeq
    },

    get resumeFrom () {
      // `last_seq` counts as an acknowledgement: past a refusal, it would turn one that was lost on the way into a yes.
      for (const { seq, answer } of answered.values()) if (answer !== null) return seq - 1
      return lastSeq
    },

    answerTo ({ command_id: id, seq }) {
      const known = answered.get(id)
      if (known) return known.answer
      // Older than what is remembered, but taken: seq only ever rises.
      return lastSeq !== undefined && seq <= lastSeq ? null : undefined
    },

    record ({ command_id, seq }, answer) {
      answered.set(command_id, { command_id, seq, answer })
      const [oldest] = answered.keys()
      if (oldest !== undefined && answered.size > REMEMBERED) answered.delete(oldest)
      lastSeq = Math.max(lastSeq ?? 0, seq)
    },

    resetTo (seq) {
      answered.clear()
      lastSeq = seq
    },

    answered: () => [...answered.values()]
  }
}
