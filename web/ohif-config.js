// What OHIF is told by kura: one source, on the origin of the page, with the session's cookie.
window.config = {
  routerBasename: '/',
  showStudyList: true,
  extensions: [],
  modes: [],
  customizationService: {},
  investigationalUseDialog: { option: 'never' },
  maxNumberOfWebWorkers: 3,
  showLoadingIndicator: true,
  defaultDataSourceName: 'kura',
  dataSources: [
    {
      namespace: '@ohif/extension-default.dataSourcesModule.dicomweb',
      sourceName: 'kura',
      configuration: {
        friendlyName: 'kura',
        name: 'kura',
        qidoRoot: location.origin + '/dicomweb',
        wadoRoot: location.origin + '/dicomweb',
        wadoUriRoot: location.origin + '/dicomweb',
        qidoSupportsIncludeField: true,
        supportsFuzzyMatching: true,
        supportsWildcard: true,
        imageRendering: 'wadors',
        thumbnailRendering: 'wadors',
        enableStudyLazyLoad: true,
        omitQuotationForMultipartRequest: true,
        singlepart: 'bulkdata,video,pdf',
        bulkDataURI: { enabled: true, relativeResolution: 'studies' },
      },
    },
  ],
  // No session, or one that has ended: get one and come back.
  httpErrorHandler: (error) => {
    if (error.status === 401) {
      location.assign('/sign-in?then=' + encodeURIComponent(location.pathname + location.search));
    }
  },
};
