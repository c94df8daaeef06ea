import { Type, type Static } from '@sinclair/typebox'
import { Warnings } from './errors.js'
import { HexId, Nullable, OneOf } from './primitives.js'
import { Status } from './status.js'

/** Most services listed per application. The counts cover all of them. */
export const MAX_LISTED_SERVICES = 1000

/** A service of an application. */
export const ApplicationService = Type.Object({
  job_id: HexId,
  job_name: Type.String(),
  service_name: Type.String(),
  service_ns: Type.String(),
  desired_state: OneOf(['running', 'undeployed']),
  status: Status,
  status_reason: Nullable(Type.String()),
  replicas: Type.Integer(),
  href: Type.String({ description: 'Path of the job' })
})
export type ApplicationService = Static<typeof ApplicationService>

/** All services with the same app_name and app_ns. An application exists as long as it has a service. */
export const Application = Type.Object({
  name: Type.String({ description: 'app_name.app_ns' }),
  app_name: Type.String(),
  app_ns: Type.String(),
  desired_state: OneOf(['running', 'undeployed'], { description: 'undeployed when none of its services should run' }),
  status: Type.Unsafe<Status>({ ...Status, description: 'Status of its worst service' }),
  status_reason: Nullable(Type.String({ description: 'Job name and status_reason of that service' })),
  service_count: Type.Integer(),
  status_counts: Type.Record(Type.String(), Type.Integer(), { description: 'Services by status' }),
  services: Type.Array(ApplicationService, { description: `In order of creation, at most ${MAX_LISTED_SERVICES}` }),
  omitted: Type.Integer({ description: 'Services counted but not listed' })
}, {
  $id: 'Application',
  examples: [{
    name: 'shop.default',
    app_name: 'shop',
    app_ns: 'default',
    desired_state: 'running',
    status: 'TargetClusterNoCapacity',
    status_reason: 'shop.default.cache.test: hpi: 0.2 cores free of 0.5 asked',
    service_count: 2,
    status_counts: { RUNNING: 1, TargetClusterNoCapacity: 1 },
    services: [
      {
        job_id: '65a1b2c3d4e5f60718293a4b',
        job_name: 'shop.default.web.test',
        service_name: 'web',
        service_ns: 'test',
        desired_state: 'running',
        status: 'RUNNING',
        status_reason: null,
        replicas: 2,
        href: '/api/v1/jobs/65a1b2c3d4e5f60718293a4b'
      },
      {
        job_id: '65a1b2c3d4e5f60718293a4c',
        job_name: 'shop.default.cache.test',
        service_name: 'cache',
        service_ns: 'test',
        desired_state: 'running',
        status: 'TargetClusterNoCapacity',
        status_reason: 'hpi: 0.2 cores free of 0.5 asked',
        replicas: 1,
        href: '/api/v1/jobs/65a1b2c3d4e5f60718293a4c'
      }
    ],
    omitted: 0
  }]
})
export type Application = Static<typeof Application>

/** The answer to a deploy. */
export const DeployedApplication = Type.Object({ ...Application.properties, warnings: Warnings }, {
  $id: 'DeployedApplication',
  examples: [{ ...Application.examples[0], warnings: [] }]
})
