import { Type, type Static } from '@sinclair/typebox'

/**
 * Every error that this server answers: code, HTTP status and title. Codes are stable, so clients may switch on them.
 * Any error outside the catalogue becomes `internal_error` and is logged.
 */
export const catalogue = {
  bad_request: { status: 400, title: 'The request is not valid' },
  json_invalid: { status: 400, title: 'The body is not valid JSON' },
  descriptor_missing: { status: 400, title: 'No deployment descriptor was sent' },
  descriptor_unreadable: { status: 400, title: 'The deployment descriptor is neither valid YAML nor JSON' },
  descriptor_invalid: { status: 400, title: 'The deployment descriptor is not valid' },
  job_ref_malformed: { status: 400, title: 'This is neither a job id nor a job name' },
  application_ref_malformed: { status: 400, title: 'This is not the name of an application' },
  cluster_id_malformed: { status: 400, title: 'This is not a cluster id' },
  address_malformed: { status: 400, title: 'This is not an IPv4 address' },
  address_refused: { status: 403, title: 'The cluster manager may not be called at this address' },
  origin_foreign: { status: 403, title: 'A web page of another site sent the request' },
  job_not_found: { status: 404, title: 'There is no such job' },
  application_not_found: { status: 404, title: 'There is no such application' },
  cluster_not_found: { status: 404, title: 'There is no such cluster' },
  instance_not_found: { status: 404, title: 'There is no such instance' },
  subnet_not_found: { status: 404, title: 'There is no such subnet' },
  node_not_found: { status: 404, title: 'There is no such worker node' },
  revision_not_found: { status: 404, title: 'The job has no such revision' },
  route_not_found: { status: 404, title: 'There is no such route' },
  method_not_allowed: { status: 405, title: 'The path has no route of this method' },
  request_timeout: { status: 408, title: 'The request was not complete in time' },
  job_name_ambiguous: { status: 409, title: 'This name matches several jobs' },
  cluster_location_ambiguous: { status: 409, title: 'Several clusters are at this location' },
  address_taken: { status: 409, title: 'The requested address belongs to another job' },
  job_not_running: { status: 409, title: 'The job is undeployed or being removed' },
  cluster_name_in_use: { status: 409, title: 'Another cluster manager is active under this name' },
  cluster_in_use: { status: 409, title: 'Instances are placed on this cluster' },
  limit_exceeded: { status: 409, title: 'The request asks for more than a limit allows' },
  conflict: { status: 409, title: 'The data kept changing during the request' },
  body_too_large: { status: 413, title: 'The body is too large' },
  media_type_unsupported: { status: 415, title: 'This content type is not supported here' },
  host_unknown: { status: 421, title: 'The server is not known under this name' },
  upgrade_required: { status: 426, title: 'This route is for WebSocket clients only' },
  subnet_limit: { status: 429, title: 'The remote address has as many subnets as it may' },
  headers_too_large: { status: 431, title: 'The URL or the headers are too long' },
  job_unreadable: { status: 500, title: 'The stored document of this job cannot be understood' },
  cluster_unreadable: { status: 500, title: 'The stored document of this cluster cannot be understood' },
  internal_error: { status: 500, title: 'Internal error; the log has the details under the request id' },
  addresses_exhausted: { status: 503, title: 'No address of 172.30.0.0/16 is free' },
  subnets_exhausted: { status: 503, title: 'No subnet is free' },
  scheduler_unavailable: { status: 503, title: 'The Cloud Scheduler does not answer' },
  request_expired: { status: 503, title: 'The request is too old to change anything' },
  store_unavailable: { status: 503, title: 'The database does not answer' },
  shutting_down: { status: 503, title: 'The System Manager is closing' }
} as const satisfies Record<string, { status: number, title: string }>

export type ErrorCode = keyof typeof catalogue

/** One mistake in the input, located as precisely as possible. */
export const Violation = Type.Object({
  field: Type.String({ description: 'Path of the field; "" for the whole input', examples: ['requirements.cpu'] }),
  message: Type.String({ description: 'What was expected and what was received' }),
  document: Type.Optional(
    Type.Integer({ description: 'Number of the YAML document, from 1, if there are several' })
  ),
  line: Type.Optional(Type.Integer({ description: 'Line in the whole text, from 1' })),
  column: Type.Optional(Type.Integer({ description: 'Column, from 1' }))
})
export type Violation = Static<typeof Violation>

/** What the author of a descriptor may not have meant, though it can be deployed. */
export const Warnings = Type.Array(Violation, {
  description: 'What its author may not have meant, such as a mistyped field; at most 50 in a file'
})

/** Problem details (RFC 9457), the shape of every error under /api/v1. */
export const Problem = Type.Object({
  type: Type.String({
    description: 'URI reference to the documentation of the code',
    examples: ['/docs/errors#job_not_found']
  }),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String({ description: 'Stable code' }),
  detail: Type.String(),
  instance: Type.String({ description: 'Request id, as in the logs' }),
  hint: Type.Optional(Type.String({ description: 'How to fix it' })),
  violations: Type.Optional(Type.Array(Violation)),
  limit: Type.Optional(Type.Integer({ description: 'With limit_exceeded: what is allowed' })),
  used: Type.Optional(Type.Integer({ description: 'With limit_exceeded: what there is already' })),
  asked: Type.Optional(Type.Integer({ description: 'With limit_exceeded: what the request asks for' }))
}, {
  $id: 'Problem',
  examples: [{
    type: '/docs/errors#descriptor_invalid',
    title: catalogue.descriptor_invalid.title,
    status: 400,
    code: 'descriptor_invalid',
    detail: 'The descriptor has 1 mistake',
    instance: 'req-1',
    violations: [{
      field: 'requirements.cpu',
      message: 'expected a number of at least 0, got -1',
      line: 11,
      column: 10
    }]
  }]
})
export type Problem = Static<typeof Problem>

/** What `limit_exceeded` is about: what is allowed, what there is already, and what the request asks for. */
export interface Excess {
  limit: number
  used: number
  asked: number
}

/** An error for the user. Services throw it; plugins/errors.ts answers it. */
export class ApiError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly violations: Violation[] | undefined
  readonly excess: Excess | undefined

  /** @param detail What happened in this case, one sentence. By default the title. */
  constructor (
    code: ErrorCode,
    detail?: string,
    more: { hint?: string, violations?: Violation[], excess?: Excess, cause?: unknown } = {}
  ) {
    super(detail ?? catalogue[code].title, { cause: more.cause })
    this.name = 'ApiError'
    this.code = code
    this.hint = more.hint
    this.violations = more.violations
    this.excess = more.excess
  }

  get status (): number {
    return catalogue[this.code].status
  }
}
