import { errors, type Pool } from 'undici'

/** The scheduler could not be reached, was too slow, spoke no HTTP, or is unwell: time may mend it. */
export class SchedulerDown extends Error {}

/** The scheduler failed on this question (500): the same again would fail the same way. */
export class SchedulerFault extends SchedulerDown {}

/** The scheduler is well but does not accept this question. */
export class SchedulerRefusal extends Error {}

/** Bytes read of an answer. Its content does not matter, and an endless one is cut off. */
const MAX_ANSWER_BYTES = 64 * 1024

/** Statuses of a proxy, or of a server under load, that are soon over (RFC 9110, section 15.6). */
const TRANSIENT: readonly number[] = [502, 503, 504]

interface Call {
  method: 'GET' | 'POST'
  path: string
  body?: unknown
}

/**
 * One request. Nothing but the status is read of the answer. Rejects with {@link SchedulerDown},
 * {@link SchedulerFault} or {@link SchedulerRefusal}, whose messages are for users. Redirects are not followed.
 * @param timeoutMs For the whole of it, from the connection to the end of the answer.
 */
export async function call (pool: Pool, { method, path, body }: Call, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs)
  let status: number
  try {
    const answer = await pool.request({
      method,
      path,
      signal,
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    })
    await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal })
    status = answer.statusCode
  } catch (err) {
    throw new SchedulerDown(signal.aborted ? `no answer within ${timeoutMs / 1000} s` : wording(err), { cause: err })
  }
  if (TRANSIENT.includes(status)) throw new SchedulerDown(`it answered ${status}`)
  if (status >= 500) throw new SchedulerFault(`it answered ${status}`)
  if (status >= 300) throw new SchedulerRefusal(`it answered ${status}`)
}

function wording (err: unknown): string {
  if (err instanceof errors.HTTPParserError) return 'it does not speak HTTP'
  if (err instanceof errors.ConnectTimeoutError) return 'it cannot be reached'
  // A name with several addresses fails with an error that has a code and no message.
  const { message, code } = err as { message?: string, code?: string }
  return message || code || 'the connection failed'
}
