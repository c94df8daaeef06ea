import { Type, type Static } from '@sinclair/typebox'
import { Count, OneOf, Quantity, shapeOf } from './primitives.js'

const Name = (of: string) =>
  Type.String({
    pattern: '^[A-Za-z0-9_-]{1,63}$',
    description: `${of}: 1 to 63 letters, digits, "-" or "_"`
  })

/** Most instances of one job. The bound keeps a typing error from emptying the address pool. */
export const MAX_REPLICAS = 1000

/** Most services in one file. */
export const MAX_SERVICES = 100

/** A port of the service, after the one of the host where it is fixed, and the protocol, tcp where there is none. */
const ONE_PORT = '\\d{1,5}(:\\d{1,5})?(/(tcp|udp))?'

/**
 * Deployment descriptor, after its shorthand is normalised (contract section 6). Unknown fields are kept and passed on:
 * clusters may know them.
 */
export const Descriptor = Type.Object({
  api_version: Type.String({ minLength: 1, maxLength: 63, description: 'Version of the descriptor, v0.1' }),
  app_name: Name('Application name'),
  app_ns: Name('Application namespace'),
  service_name: Name('Service name'),
  service_ns: Name('Service namespace'),
  image: Type.String({ minLength: 1, maxLength: 2048, description: 'Image reference' }),
  image_runtime: Type.String({
    minLength: 1,
    maxLength: 63,
    description: 'A technology that clusters report, usually docker'
  }),
  port: Type.Optional(Type.Union([
    Type.Integer({ minimum: 1, maximum: 65535 }),
    Type.String({ maxLength: 1000, pattern: `^(${ONE_PORT}(;${ONE_PORT})*)?$` }),
    Type.Null()
  ], { description: 'Port of the service: 80, "8080:80", several as "6080:80/tcp;7000:70/udp", or empty' })),
  cluster_location: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'Location or name of a cluster; by default, any cluster'
    })
  ),
  node: Type.Optional(
    Type.String({ minLength: 1, maxLength: 255, description: 'Worker node; same as requirements.node' })
  ),
  requirements: Type.Optional(Type.Object({
    cpu: Type.Optional(Quantity({ description: 'Cores, may be fractional' })),
    memory: Type.Optional(Quantity({ description: 'MB' })),
    node: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'Worker node' }))
  }, { additionalProperties: true })),
  replicas: Type.Optional(
    Count({
      maximum: MAX_REPLICAS,
      description: 'Number of instances; by default 1, or the current number of an existing job'
    })
  ),
  placement: Type.Optional(
    OneOf(['spread', 'pack'] as const, {
      description: 'spread (the default) prefers clusters with fewer instances of the job, pack those with more'
    })
  ),
  failover: Type.Optional(
    OneOf(['any', 'pinned'] as const, {
      description:
        'Where instances may go when their cluster is lost: any cluster, or (pinned, the default) only where ' +
          'cluster_location and node allow'
    })
  ),
  rollout: Type.Optional(Type.Object({
    max_unavailable: Type.Optional(
      Count({
        maximum: MAX_REPLICAS,
        description: 'Instances that an update may take down at a time; by default 1, or 0 with a max_surge'
      })
    ),
    max_surge: Type.Optional(
      Count({
        maximum: MAX_REPLICAS,
        description: 'Instances that an update may start in addition to replicas; by default 0'
      })
    ),
    deadline_s: Type.Optional(
      Quantity({ minimum: 1, description: 'Seconds that an update has to get through all instances' })
    ),
    auto_rollback: Type.Optional(
      Type.Boolean({ description: 'Whether a failed update is rolled back; by default true' })
    )
  }, { description: 'How an update goes through the instances' })),
  RR_ip: Type.Optional(Type.String({
    pattern:
      '^172\\.30\\.(?!0\\.0$|255\\.255$)(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)$',
    description: 'Service (round robin) address, from 172.30.0.1 to 172.30.255.254'
  })),
  environment: Type.Optional(Type.Unknown({ description: 'Environment variables, passed on to the cluster' })),
  cmd: Type.Optional(Type.Unknown({ description: 'Command, passed on to the cluster' })),
  volumes: Type.Optional(Type.Unknown({ description: 'Volumes, passed on to the cluster' }))
}, {
  $id: 'Descriptor',
  additionalProperties: true,
  description: 'Deployment descriptor of one service',
  examples: [{
    api_version: 'v0.1',
    app_name: 'demo',
    app_ns: 'default',
    service_name: 'service1',
    service_ns: 'test',
    image: 'docker.io/library/nginx:alpine',
    image_runtime: 'docker',
    port: 80,
    cluster_location: 'hpi',
    requirements: { cpu: 0, memory: 100 }
  }]
})
export type Descriptor = Static<typeof Descriptor> & Record<string, unknown>

/** Checks a descriptor read from a database. Throws an Error that says where it differs. */
export const asDescriptor = shapeOf(Descriptor, 'a descriptor') as (value: unknown) => Descriptor

/** Several services of one application in one file, as written. For the rules see descriptor/services.ts. */
export const ApplicationDescriptor = Type.Object({
  app_name: Descriptor.properties.app_name,
  app_ns: Descriptor.properties.app_ns,
  microservices: Type.Array(
    Type.Object({ service_name: Descriptor.properties.service_name }, { additionalProperties: true }),
    {
      minItems: 1,
      maxItems: MAX_SERVICES,
      description:
        'Descriptors without app_name and app_ns. Each inherits every field beside the list that it does not have ' +
          'itself, as a whole'
    }
  )
}, {
  $id: 'ApplicationDescriptor',
  additionalProperties: true,
  description: 'Deployment descriptors of several services of one application',
  examples: [{
    app_name: 'shop',
    app_ns: 'default',
    service_ns: 'test',
    cluster_location: 'hpi',
    microservices: [
      { service_name: 'web', image: 'docker.io/library/nginx:alpine', port: 80, replicas: 2 },
      {
        service_name: 'cache',
        image: 'docker.io/library/redis:alpine',
        port: 6379,
        requirements: { cpu: 0.5, memory: 200 }
      }
    ]
  }]
})
