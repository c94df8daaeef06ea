/**
 * Imports point one way: routes, then services, then stores; schemas are below all, descriptor/ and background/ beside
 * them. Type-only imports count: what a file must know to be read, it depends on.
 * @type {import('dependency-cruiser').IConfiguration}
 */
module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'schemas-import-schemas',
      severity: 'error',
      from: { path: '^schemas/' },
      to: { pathNot: '^(schemas/|node_modules/)', dependencyTypesNot: ['core', 'npm', 'npm-dev'] }
    },
    {
      name: 'descriptor-imports-schemas',
      severity: 'error',
      from: { path: '^descriptor/' },
      to: { pathNot: '^(descriptor/|schemas/)', dependencyTypesNot: ['core', 'npm'] }
    },
    {
      name: 'background-imports-nothing',
      severity: 'error',
      from: { path: '^background/' },
      to: { pathNot: '^background/', dependencyTypesNot: ['core', 'npm'] }
    },
    {
      name: 'stores-import-schemas',
      comment: 'A store knows neither who asks nor how the server is put together.',
      severity: 'error',
      from: { path: '^stores/' },
      to: { path: '^(services|routes|plugins|descriptor|simulator)/|^(app|server)\\.ts$' }
    },
    {
      name: 'plugins-are-infrastructure',
      severity: 'error',
      from: { path: '^plugins/' },
      to: { path: '^(services|routes|simulator)/|^(app|server)\\.ts$' }
    },
    {
      name: 'services-know-no-routes',
      severity: 'error',
      from: { path: '^services/' },
      to: { path: '^(routes|simulator)/|^(app|server)\\.ts$' }
    },
    {
      name: 'services-meet-through-decorators',
      comment: 'One service may know the types of another, and has its values only through the decorators of Fastify.',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/$1/', dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'routes-reach-services-by-decorators',
      severity: 'error',
      from: { path: '^routes/' },
      to: { path: '^(services|stores)/', dependencyTypesNot: ['type-only'] }
    },
    {
      name: 'commands-are-for-the-process',
      severity: 'error',
      from: { pathNot: '^(server\\.ts$|commands/|test/)' },
      to: { path: '^commands/' }
    },
    {
      name: 'state-machine-is-pure',
      comment: 'Decisions take what they need and give a change: no I/O, no loop, no setting.',
      severity: 'error',
      from: { path: '^services/job-lifecycle/state-machine/' },
      to: { path: '^(plugins|background|services/job-lifecycle/(controllers|operations|commit|lifecycle|plugin))' }
    },
    {
      name: 'controllers-and-operations-are-apart',
      severity: 'error',
      from: { path: '^services/job-lifecycle/(controllers|operations)/' },
      to: { path: '^services/job-lifecycle/(controllers|operations)/', pathNot: '^services/job-lifecycle/$1/' }
    },
    {
      name: 'decisions-before-consequences',
      comment: 'Consequences follow from any change, whichever decision made it.',
      severity: 'error',
      from: { path: '/state-machine/consequences/' },
      to: { path: '/state-machine/decisions/' }
    },
    {
      name: 'production-knows-no-tests',
      severity: 'error',
      from: { pathNot: '^(test|bench|scripts)/' },
      to: { path: '^(test|bench|scripts)/' }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|data|\\.[^/]+)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'], exportsFields: ['exports'], conditionNames: ['import', 'node'] }
  }
}
