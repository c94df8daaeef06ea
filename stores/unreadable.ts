import { ApiError } from '../schemas/errors.js'

/** One document or row, as logs name it. */
interface Stored {
  kind: 'job' | 'cluster' | 'command' | 'event' | 'earlier descriptor'
  /** Its id; of a command that of its cluster, of what belongs to a job that of the job. */
  id: string
  /** What changes when it is written again: its revision, the `seq` of a command, the number of an event. */
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

/** Whose id a document is named by. */
const OWNERS: Readonly<Record<Stored['kind'], 'job_id' | 'cluster_id'>> = {
  job: 'job_id',
  event: 'job_id',
  'earlier descriptor': 'job_id',
  cluster: 'cluster_id',
  command: 'cluster_id'
}

export function createDocumentReader (log: UnreadableLog | undefined): DocumentReader {
  /** "job 65a1…", by what was logged. */
  const reported = new Map<string, string>()

  function report ({ kind, id, revision }: Stored, err: unknown): void {
    const key = `${kind} ${id} ${revision}`
    if (reported.size >= MAX_REPORTED || reported.has(key)) return
    reported.set(key, `${kind} ${id}`)
    log?.error({ err, [OWNERS[kind]]: id, revision }, `a stored ${kind} ${UNREADABLE}`)
    if (reported.size < MAX_REPORTED) return
    log?.error({}, `${MAX_REPORTED} stored documents ${UNREADABLE}, no more are logged`)
  }

  return {
    report,

    reported: () => [...new Set(reported.values())],

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
