/** What every page starts. */

import { startDecisionLink } from "./decision-link";
import { startHeatMaps } from "./heat-map";
import { startMenus } from "./menu";
import { startReports } from "./report";
import { startRequests } from "./requests";
import { startReveal } from "./reveal";
import { startThemeToggle } from "./theme";
import { startUploads } from "./uploads";
import { startClaims } from "./claims";
import { startViewer } from "./viewer";
import { startWorklist } from "./worklist";

// Shows what works with a script alone.
document.documentElement.classList.add("js");

startRequests();
startMenus();
startThemeToggle();
startUploads();
startViewer();
startHeatMaps();
startDecisionLink();
startReports();
startReveal();
startClaims();
startWorklist();
