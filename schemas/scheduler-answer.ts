import { TypeCompiler } from '@sinclair/typebox/compiler'
import { IsStandardObject } from '@sinclair/typebox/value'
import { ApiError } from './errors.js'
import { parseJson } from './json-text.js'
import { isHexId } from './primitives.js'
import { SchedulerResult, type SchedulerAnswer } from './scheduler.js'
import { complaintOf, dotted } from './wording.js'

const result = TypeCompiler.Compile(SchedulerResult)

/**
 * Reads an answer of the Cloud Scheduler: JSON, or a JSON string that contains the JSON (contract section 4).
 * Errors: `json_invalid`, and `bad_request` with the field.
 */
export function readAnswer (text: string): SchedulerAnswer {
  const once = parseJson(text)
  const body = typeof once === 'string' ? parseJson(once) : once
  if (!result.Check(body)) {
    const error = result.Errors(body).First()!
    throw invalid(dotted(error.path), complaintOf(error))
  }
  const job = asRecord(body.job)
  const jobId = idOf(body.job_id) ?? idOf(job._id)
  if (jobId === undefined) throw invalid('job_id', 'expected the id of the job, here or as job._id')

  const { generation } = asRecord(job.system_manager)
  const about = {
    job_id: jobId,
    ...(typeof job.job_name === 'string' && { job_name: job.job_name }),
    ...(typeof generation === 'number' && { generation })
  }
  const clusterId = idOf(body.cluster_id) ??
    idOf(Array.isArray(body.cluster) ? body.cluster[0]?._id : body.cluster?._id)
  if (clusterId !== undefined) return { ...about, cluster_id: clusterId }
  if (body.status !== undefined) return { ...about, failure: body.status }
  throw invalid('cluster', 'expected a cluster with its _id, or cluster_id')
}

function idOf (id: unknown): string | undefined {
  const plain = asRecord(id).$oid ?? id
  return isHexId(plain) ? plain : undefined
}

function asRecord (value: unknown): Record<string, unknown> {
  return IsStandardObject(value) ? value : {}
}

function invalid (field: string, message: string): ApiError {
  return new ApiError('bad_request', 'The result is not valid', { violations: [{ field, message }] })
}
