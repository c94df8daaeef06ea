import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { Application, DeployedApplication } from '../schemas/application.js'
import { Cluster, ClusterView, Heartbeat } from '../schemas/cluster.js'
import { ApplicationDescriptor, Descriptor } from '../schemas/descriptor.js'
import { Problem } from '../schemas/errors.js'
import { Readiness } from '../schemas/health.js'
import { DeployResult } from '../schemas/deploy-result.js'
import { DeployedJob, Job } from '../schemas/job.js'
import { JobEvent } from '../schemas/job-event.js'
import { Plan } from '../schemas/plan.js'
import { SchedulerResult } from '../schemas/scheduler.js'
import pageHeaders from './page-headers.js'

/** The OpenAPI 3.1 document at /docs/json, and an interactive page at /docs. */
export default fp(async function openapi (app) {
  for (
    const schema of [
      Cluster,
      ClusterView,
      Heartbeat,
      Descriptor,
      ApplicationDescriptor,
      Problem,
      DeployResult,
      Job,
      DeployedJob,
      JobEvent,
      Application,
      DeployedApplication,
      Plan,
      SchedulerResult,
      Readiness
    ]
  ) app.addSchema(schema)

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'EdgeIO System Manager',
        description:
          'Clusters register here, and users deploy services. Paths under /api are the EdgeIO contract; /api/v1 is ' +
            'the resource API for users and generated clients.',
        version: '0.1.0',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
      },
      tags: [
        { name: 'jobs', description: 'Deployed services, as resources' },
        { name: 'applications', description: 'Services that share app_name and app_ns, as resources' },
        { name: 'clusters', description: 'Registered clusters, as resources' },
        { name: 'edgeio users', description: 'The EdgeIO contract, user side' },
        { name: 'edgeio clusters', description: 'The EdgeIO contract, cluster side' },
        { name: 'server', description: 'The server itself' }
      ]
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => typeof json.$id === 'string' ? json.$id : `def-${i}`
    }
  })
  await app.register(async pages => {
    await pages.register(pageHeaders)
    await pages.register(swaggerUi, { routePrefix: '/docs' })
  })
}, { name: 'openapi', dependencies: ['not-found'] })
