import { ApiError } from '../schemas/errors.js'

/** One document or row, as logs name it. */
interface Stored {
  kind: 'job' | 'cluster' | 'command'
  /** Its id; of a command that of its cluster. */
  id: string
  /** What changes when it is written again: its revision, or the `seq` of a command. */
  revision?: unknown
}

/** Where the store says what it cannot understand. A Fastify logger fits. */
export interface UnreadableLog {
  error (details: object, message: string): void
}

/** Reads stored documents so that one that cannot be understood affects itself only. */
export interface DocumentReader {
  /**
   * What `read` makes of a document that was asked for itself. When `read` throws, that is logged and thrown as
   * `job_unreadable` or `cluster_unreadable`.
   */
  one<T> (stored: Stored & { kind: 'job' | 'cluster' }, read: () => T): T
  /** What `read` makes of one document of many. When `read` throws, that is logged, and there is undefined. */
  ofMany<T> (stored: Stored, read: () => T): T | undefined
  /** Logs that a document cannot be understood, once per revision. */
  report (stored: Stored, err: unknown): void
  /** Those that were logged: "job 65a1…", at most {@link MAX_REPORTED}. */
  reported (): string[]
}

/** Documents that are logged. Those beyond are not: a log entry for each read of each of them would fill the disk. */
const MAX_REPORTED = 1000

export function createDocumentReader (log: UnreadableLog | undefined): DocumentReader {
  const reported = new Set<string>()

  function report ({ kind, id, revision }: Stored, err: unknown): void {
    const key = `${kind} ${id} ${revision}`
    if (reported.size >= MAX_REPORTED || reported.has(key)) return
    reported.add(key)
    log?.error({ err, [`${kind === 'command' ? 'cluster' : kind}_id`]: id, revision }, `a stored ${kind} ${UNREADABLE}`)
    if (reported.size < MAX_REPORTED) return
    log?.error({}, `${MAX_REPORTED} stored documents ${UNREADABLE}, no more are logged`)
  }

  return {
    report,

    reported: () => [...new Set([...reported].map(key => key.split(' ', 2).join(' ')))],

    one (stored, read) {
      try {
        return read()
      } catch (err) {
        report(stored, err)
        const { kind, id } = stored
        throw new ApiError(`${kind}_unreadable`, `The stored ${kind} ${id} ${UNREADABLE}: ${(err as Error).message}`, {
          hint: 'Restore its document, or start the version of the System Manager that wrote it',
          cause: err
        })
      }
    },

    ofMany (stored, read) {
      try {
        return read()
      } catch (err) {
        report(stored, err)
        return undefined
      }
    }
  }
}

const UNREADABLE = 'cannot be understood'
