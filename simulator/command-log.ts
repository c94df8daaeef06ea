import type { Command } from '../schemas/channel.js'

/** The reply to a command: null for an acknowledgement, else the reason for the refusal. */
export type Answer = string | null

/** A command that was answered. */
export interface Answered {
  command_id: string
  seq: number
  answer: Answer
}

/** Carries out each command once, although delivery is at least once (contract section 5). */
export interface CommandLog {
  /** `seq` of the last command answered; undefined before the first one. */
  readonly lastSeq: number | undefined
  /** `last_seq` for the next registration. */
  readonly resumeFrom: number | undefined
  /** The answer to a command that came before; undefined for a new one. */
  answerTo (command: Command): Answer | undefined
  /** Records the answer to a new command. */
  record (command: Command, answer: Answer): void
  /** Restarts after `seq`, when the System Manager has sent the whole desired state. */
  resetTo (seq: number): void
  /** The recorded answers, oldest first. */
  answered (): Answered[]
}

/** Most answers recorded. A refusal must be repeated word for word, and only recent commands come again. */
const REMEMBERED = 500

export function createCommandLog (lastSeq: number | undefined, saved: Answered[]): CommandLog {
  const answered = new Map(saved.map(one => [one.command_id, one]))

  return {
    get lastSeq () {
      return lastSeq
    },

    get resumeFrom () {
      // `last_seq` counts as an acknowledgement: past a refusal that was lost on its way, it would acknowledge it.
      for (const { seq, answer } of answered.values()) if (answer !== null) return seq - 1
      return lastSeq
    },

    answerTo ({ command_id: id, seq }) {
      const known = answered.get(id)
      if (known) return known.answer
      // Older than the recorded answers, but carried out: `seq` only rises.
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
