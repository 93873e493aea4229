// Imported before the fixture, which starts as many.
process.env['MILLRACE_TEST_KAFKA_NODES'] = '3';
