// See ThreadedApply.c; there is nothing to call.
#pragma once
